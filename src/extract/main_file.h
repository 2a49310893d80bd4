#pragma once
// Which files of a paper's sources are its documents: what arXiv's 00README says, or what the files look like.
#include <string>
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

/// The file that \input{name} means from `folder` ("" is the archive's root), with or without .tex; or nothing.
const ArchiveFile* find_in_archive(const std::vector<ArchiveFile>& files, const std::string& folder,
                                   const std::string& name);

}  // namespace eddy::extract
