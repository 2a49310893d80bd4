#pragma once
// From a file to a document: by its kind, cleaned, or with the reason why not.
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "extract/outcome.h"

namespace eddy::extract {

enum class Kind { latex, plain, pdf, jsonl };
/// By the name's ending (.tex; .md .txt; .pdf; .jsonl, in any case); nothing for others.
std::optional<Kind> kind_of(const std::filesystem::path& path);

/// Cleans text and rejects what has none: blank, or more than 1 in 100 characters ill-formed or control characters.
Outcome clean_text(std::string_view bytes);

/// A .tex, .md, .txt or .pdf file as one document. LaTeX inputs are looked up from the main file's folder, as LaTeX
/// does, but never outside of `root`.
Outcome extract_file(const std::filesystem::path& path, Kind kind, const std::filesystem::path& root,
                     const std::filesystem::path& pdf_program);

/// How a .tex file hangs together with others.
struct TexLinks {
  bool main = false;  ///< it has its own \begin{document}
  std::vector<std::filesystem::path>
      inputs{};  ///< canonical paths of all it draws in, directly or not, as far as found
};
TexLinks tex_links(const std::filesystem::path& path, const std::filesystem::path& root);

/// Which of the .tex files are parts of another one, and so no documents of their own. files[i] draws in inputs[i]
/// (indices); a main file never is a part. Of files that only draw in each other the first stays.
std::vector<bool> parts_of_others(const std::vector<bool>& is_main,
                                  const std::vector<std::vector<std::size_t>>& inputs);

}  // namespace eddy::extract
