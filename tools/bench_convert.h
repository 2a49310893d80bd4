#pragma once
#include <string>
#include <vector>

namespace eddy {
/// Casting between FP8 and BF16 in memory, one thread, and folder to folder beside plain reading and writing.
int bench_convert(const std::vector<std::string>& arguments);
}  // namespace eddy
