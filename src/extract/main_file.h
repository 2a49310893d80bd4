#pragma once
// Which files of a paper's sources are its documents: what arXiv's 00README says, or what the files look like.
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "extract/archive.h"

namespace eddy::extract {

struct MainFiles {
  std::vector<std::size_t> files{};  ///< indices into the archive's files, in the order in which they are joined
  std::string reason{};              ///< why there is none (a short phrase)
};

/// In this order: the top-level files that a 00README (.json, .yaml, .XXX) names; files with \documentclass or
/// \documentstyle (or \begin{document}) that no other file draws in, all of them, by name; the same of plain TeX (\bye,
/// \end, known formats); a lone TeX file; else those that no other draws in and that hold text. Left out: `anc/`,
/// files that begin with %auto-ignore, classes and packages, files that 00README ignores.
MainFiles find_main_files(const std::vector<ArchiveFile>& files);

/// Finds files of an archive by name.
class ArchiveIndex {
 public:
  /// Of `files`, which must outlive it.
  explicit ArchiveIndex(const std::vector<ArchiveFile>& files);
  /// The index of the file of this name, or nothing.
  std::optional<std::size_t> file(const std::string& safe_name) const;
  /// The file that \input{name} means, with or without .tex; or nothing.
  std::optional<std::size_t> input(const std::string& name) const;

 private:
  std::unordered_map<std::string, std::size_t> index_{};
};

}  // namespace eddy::extract
