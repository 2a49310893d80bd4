#pragma once
// LaTeX, LaTeX 2.09 and plain TeX sources as articles: macros expanded, comments, preamble and bibliography gone,
// mathematics kept.
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "extract/article.h"
#include "extract/source_scan.h"

namespace eddy::extract {

/// A main file and the folder (within the sources) that its inputs are looked up from.
struct MainSource {
  std::string bytes;
  std::string folder{};
};

/// The article of one or several main files, joined in order; title and abstract are the first one's that has them.
/// `load` gets names as \input has them, behind an \import's folder; packages as "name.sty". Bytes that are not UTF-8
/// are taken for Latin-1. Macros and files may give `budget` bytes, and 32 for each of `mains`, all in all.
Article extract_latex(const std::vector<MainSource>& mains, const Loader& load, std::uint64_t budget = 64 << 20);

}  // namespace eddy::extract
