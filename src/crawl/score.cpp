#include "crawl/score.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <set>

namespace eddy::crawl {
namespace {

const std::set<std::string>& everyday() {
  static const std::set<std::string> words{
      "the",  "and",     "for",   "with",  "that",  "this",  "are",   "from", "which", "can",  "has",  "have", "been",
      "was",  "were",    "its",   "our",   "their", "these", "those", "such", "than",  "then", "also", "into", "using",
      "used", "use",     "based", "paper", "show",  "shown", "study", "new",  "two",   "one",  "not",  "but",  "all",
      "both", "between", "under", "over",  "when",  "where", "how",   "via",  "some",  "more", "most", "each", "other"};
  return words;
}

std::map<std::string, double> words_of(const Paper& p) {
  std::map<std::string, double> counts;
  const std::string text = p.title + " " + p.abstract;
  std::string word;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    const auto c = i < text.size() ? static_cast<unsigned char>(text[i]) : static_cast<unsigned char>(' ');
    if (c >= 128 || std::isalpha(c)) {
      word += static_cast<char>(c < 128 ? std::tolower(c) : c);
    } else {
      if (word.size() >= 3 && !everyday().count(word)) counts[word] += 1;
      word.clear();
    }
  }
  return counts;
}

/// Lower case, everything but letters and digits a blank, blanks around.
std::string spaced(const std::string& text) {
  std::string out = " ";
  for (const char ch : text) {
    const auto c = static_cast<unsigned char>(ch);
    if (c >= 128 || std::isalnum(c))
      out += static_cast<char>(c < 128 ? std::tolower(c) : c);
    else if (out.back() != ' ')
      out += ' ';
  }
  if (out.back() != ' ') out += ' ';
  return out;
}

}  // namespace

void Profile::add(const Paper& paper) {
  for (const auto& [word, count] : words_of(paper)) counts_[word] += count;
}

double Profile::likeness(const Paper& paper) const {
  double product = 0, mine = 0, theirs = 0;
  for (const auto& [word, count] : counts_) mine += std::log1p(count) * std::log1p(count);
  for (const auto& [word, count] : words_of(paper)) {
    theirs += std::log1p(count) * std::log1p(count);
    if (const auto at = counts_.find(word); at != counts_.end()) product += std::log1p(count) * std::log1p(at->second);
  }
  return mine > 0 && theirs > 0 ? product / std::sqrt(mine * theirs) : 0;
}

bool mentions(const Paper& paper, const std::string& phrase) {
  const std::string wanted = spaced(phrase);
  return wanted.size() > 1 && spaced(paper.title + " . " + paper.abstract).find(wanted) != std::string::npos;
}

Score score(const Entry& entry, const Profile& profile, const CrawlOptions& o) {
  const auto rounded = [](double x) { return std::round(x * 1e4) / 1e4; };
  Score s;
  s.text = profile.likeness(entry.paper);
  const auto n = static_cast<double>(entry.linked.size());
  s.links = n / (n + 2);
  double weight_keywords = 0;
  if (!o.score_keywords.empty()) {
    weight_keywords = o.weight_keywords;
    const auto found = std::count_if(o.score_keywords.begin(), o.score_keywords.end(),
                                     [&](const std::string& k) { return mentions(entry.paper, k); });
    s.keywords = static_cast<double>(found) / static_cast<double>(o.score_keywords.size());
  }
  const double weights = o.weight_text + o.weight_links + weight_keywords;
  if (weights > 0)
    s.whole = (o.weight_text * s.text + o.weight_links * s.links + weight_keywords * s.keywords) / weights;
  return {rounded(s.text), rounded(s.links), rounded(s.keywords), rounded(s.whole)};
}

}  // namespace eddy::crawl
