#include "crawl/catalogue.h"

#include <algorithm>

#include "crawl/ids.h"

namespace eddy::crawl {
namespace {

std::vector<std::string> names_of(const Paper& p) {
  std::vector<std::string> names;
  if (!p.doi.empty()) names.push_back("doi:" + p.doi);
  if (!p.arxiv.empty()) names.push_back("arxiv:" + p.arxiv);
  if (!p.s2.empty()) names.push_back("s2:" + p.s2);
  if (!p.openalex.empty()) names.push_back("openalex:" + p.openalex);
  return names;
}
std::string title_name(int year, const std::string& key) {
  return std::to_string(year) + " " + key;
}
bool differ(const std::string& a, const std::string& b) {
  return !a.empty() && !b.empty() && a != b;
}

}  // namespace

std::size_t Catalogue::root(std::size_t index) const {
  while (parent_[index] != index) index = parent_[index];
  return index;
}

std::vector<std::size_t> Catalogue::roots() const {
  std::vector<std::size_t> all;
  for (std::size_t i = 0; i < parent_.size(); ++i)
    if (parent_[i] == i) all.push_back(i);
  return all;
}

std::vector<std::size_t> Catalogue::matches(const Paper& p) const {
  std::set<std::size_t> found;
  for (const std::string& name : names_of(p))
    if (const auto at = by_name_.find(name); at != by_name_.end()) found.insert(root(at->second));
  if (found.empty() && p.year > 0)
    if (const std::string key = title_key(p.title); !key.empty())
      for (int year = p.year - 1; year <= p.year + 1; ++year)
        if (const auto at = by_title_.find(title_name(year, key)); at != by_title_.end())
          for (const std::size_t candidate : at->second) {
            const Paper& q = entries_[root(candidate)].paper;
            if (found.empty() && !differ(p.doi, q.doi) && !differ(p.arxiv, q.arxiv)) found.insert(root(candidate));
          }
  return {found.begin(), found.end()};
}

void Catalogue::join(std::size_t into, std::size_t from) {
  Entry &a = entries_[into], &b = entries_[from];
  a.paper.fill_from(b.paper);
  a.linked.merge(b.linked);
  if (a.depth < 0 || (b.depth >= 0 && b.depth < a.depth)) a.depth = b.depth;
  if (b.decision == "taken" || a.decision.empty()) {
    a.decision = b.decision;
    a.score = b.score;
  }
  parent_[from] = into;
}

void Catalogue::index(std::size_t entry) {
  const Paper& p = entries_[entry].paper;
  for (const std::string& name : names_of(p)) by_name_.emplace(name, entry);
  if (const std::string key = title_key(p.title); !key.empty() && p.year > 0) {
    auto& list = by_title_[title_name(p.year, key)];
    if (std::none_of(list.begin(), list.end(), [&](std::size_t i) { return root(i) == entry; })) list.push_back(entry);
  }
}

std::size_t Catalogue::add(const Paper& paper) {
  const auto same = matches(paper);
  if (same.empty()) {
    entries_.push_back({paper, -1, {}, {}, ""});
    parent_.push_back(entries_.size() - 1);
    index(entries_.size() - 1);
    return entries_.size() - 1;
  }
  const std::size_t first = same.front();
  for (std::size_t i = 1; i < same.size(); ++i) join(first, same[i]);
  entries_[first].paper.fill_from(paper);
  index(first);
  // A second name of the other paper stays known although the entry shows the first.
  for (const std::string& name : names_of(paper)) by_name_.emplace(name, first);
  return first;
}

}  // namespace eddy::crawl
