#pragma once
// How much a paper looks like those the crawl began with.
#include <map>
#include <string>
#include <vector>

#include "crawl/catalogue.h"
#include "crawl/options.h"

namespace eddy::crawl {

/// The words of the first papers' titles and abstracts with their weights.
class Profile {
 public:
  void add(const Paper& paper);
  /// Cosine of the angle between the two vectors of ln(1 + count) over the words of three letters and more that are not
  /// everyday ones: 0 (nothing in common) to 1.
  double likeness(const Paper& paper) const;

 private:
  std::map<std::string, double> counts_;
};

/// text: Profile::likeness. links: n / (n + 2) for n papers taken that cite it. keywords: the share of score.keywords
/// found in title and abstract (without such keywords the part and its weight fall away).
/// whole: their mean by the weights of score.*, rounded to four digits.
Score score(const Entry& entry, const Profile& profile, const CrawlOptions& options);

/// Is the word or phrase in title or abstract? Compared in lower case, whole words.
bool mentions(const Paper& paper, const std::string& phrase);

}  // namespace eddy::crawl
