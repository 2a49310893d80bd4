#pragma once
// A block as text.
#include <string>

#include "extract/article.h"

namespace eddy::extract {

/// "## 2 Title", "- item", "Theorem 3 (title). …", "Figure 1: …", "```…```"; an equation with a
/// label shows its number as \\tag; others are their text.
std::string render(const Block& block);

}  // namespace eddy::extract
