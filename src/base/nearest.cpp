#include <algorithm>
#include <limits>
#include <numeric>

#include "base/options.h"

namespace eddy {
namespace {

/// Edit distance with transpositions of neighbours (optimal string alignment).
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

std::string after_dot(const std::string& key) {
  return key.substr(key.rfind('.') + 1);
}  // npos + 1 is 0

}  // namespace

std::string nearest(const std::string& word, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t least = std::numeric_limits<std::size_t>::max();
  for (const auto& c : candidates) {
    std::size_t d = distance(word, c);
    if (d > std::max<std::size_t>(2, std::max(word.size(), c.size()) / 3)) {
      if (after_dot(word) != after_dot(c)) continue;
      d = 2;  // the right name in the wrong section, or without one: tp, train.lr
    }
    if (d < least) {
      least = d;
      best = c;
    }
  }
  return best;
}

}  // namespace eddy
