#pragma once
// What must hold of a paper whatever a service said of it.
#include <cstdlib>
#include <string>

#include "crawl/ids.h"
#include "crawl/paper.h"

namespace eddy_fuzz {

/// No line ends, no doubled blanks, no longer than what it was read from.
inline void check_line(const std::string& text, std::size_t longest = std::string::npos) {
  if (text.size() > longest || text.find_first_of("\n\r\t") != std::string::npos ||
      text.find("  ") != std::string::npos)
    std::abort();
}

inline void check(const eddy::crawl::Paper& p) {
  using namespace eddy::crawl;
  if (normal_doi(p.doi) != p.doi) std::abort();  // in the one spelling, or none
  if (const auto id = parse_arxiv(p.arxiv); p.arxiv.empty() ? id.has_value() : !id || id->id != p.arxiv) std::abort();
  if (p.arxiv_version < 0 || p.arxiv_version > 999) std::abort();
  if (whole_date(p.date) != p.date) std::abort();
  if (p.year <= -1'000'000'000 || p.year >= 1'000'000'000) std::abort();
  for (const auto& line : {p.title, p.abstract, p.venue}) check_line(line);
  for (const auto& name : p.authors) check_line(name);
  for (const auto& copy : p.copies)
    if (copy.url.empty() || parse_arxiv(copy.url)) std::abort();  // arXiv's are an id
  title_key(p.title);
  Paper twice = p;
  twice.fill_from(p);
  if (twice.id() != p.id() || twice.copies.size() != p.copies.size()) std::abort();
}

}  // namespace eddy_fuzz
