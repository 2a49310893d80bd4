#pragma once
#include <string_view>

namespace eddy::tokenize {
/// The general category of every code point from U+0000 to U+10FFFF as runs: a letter ('A' is Category 0 of unicode.h,
/// 'Z' is 25, 'a' is 26, …), then the run's length in decimal where it is not 1. Unicode 16.
extern const std::string_view kCategoryRuns;
}  // namespace eddy::tokenize
