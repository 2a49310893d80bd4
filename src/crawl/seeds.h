#pragma once
// Where a crawl begins.
#include <string>
#include <vector>

#include "crawl/paper.h"

namespace eddy::crawl {

/// The entries of a BibTeX file: DOI, arXiv id (eprint with archivePrefix arXiv, or an arXiv URL or DOI), title, year.
/// Entries that have neither an id nor a title are left out. What cannot be read is skipped up to the next '@'.
std::vector<Paper> parse_bibtex(const std::string& text);

/// Papers named by --from: ids, and the entries of BibTeX files in their order; those without any id have a title.
/// Throws Error (status 2) naming the word that is none, or the file that cannot be read or holds no entry.
std::vector<Paper> read_seeds(const std::vector<std::string>& from);

}  // namespace eddy::crawl
