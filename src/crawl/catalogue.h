#pragma once
// All papers seen, each once, whatever its names.
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "crawl/paper.h"

namespace eddy::crawl {

/// Why a paper is scored as it is; each part and the whole between 0 and 1.
struct Score {
  double text = 0, links = 0, keywords = 0, whole = 0;
};

struct Entry {
  Paper paper;
  int depth = -1;                ///< of the level that first met it; -1: not met yet
  std::set<std::size_t> linked;  ///< papers taken that cite it (or, with citations, that it cites)
  Score score;
  std::string decision;  ///< "taken", or why it was left out; empty: not decided
};

/// Two papers are one when they share a DOI, an arXiv id (whatever the version), a Semantic Scholar id or an OpenAlex
/// id; or the title (title_key in ids.h) with years at most one apart, unless both have DOIs or both have arXiv ids and
/// these differ. What the catalogue holds depends on the order of add(), so callers add in an order of their own
/// making, not in the order answers came.
class Catalogue {
 public:
  /// Takes in a paper; the index of its entry. What was known stays, what was not is filled in.
  std::size_t add(const Paper& paper);
  /// The entry that stands for this index now: entries that turn out to be one are joined under the lower index.
  std::size_t root(std::size_t index) const;
  Entry& at(std::size_t index) { return entries_[root(index)]; }
  const Entry& at(std::size_t index) const { return entries_[root(index)]; }
  std::vector<std::size_t> roots() const;  ///< ascending
  std::size_t size() const { return entries_.size(); }

 private:
  std::vector<std::size_t> matches(const Paper& paper) const;
  void join(std::size_t into, std::size_t from);
  void index(std::size_t entry);
  std::deque<Entry> entries_;
  std::vector<std::size_t> parent_;
  std::map<std::string, std::size_t> by_name_;                // "doi:…", "arxiv:…", "s2:…", "openalex:…"
  std::map<std::string, std::vector<std::size_t>> by_title_;  // "year title"
};

}  // namespace eddy::crawl
