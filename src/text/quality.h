#pragma once
// Quality rules from the literature, computed on text without mathematics (which they would reject):
// Gopher (Rae et al., arXiv 2112.11446, section A.1.1 and table A1), C4 (Raffel et al., arXiv 1910.10683, section 2.2)
// and peS2o (Soldaini and Lo, 2023).
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace eddy::text {

/// A measured quantity and the limit it must keep.
struct QualityRule {
  std::string_view name;  ///< "min-words": as an option
  std::string_view help;
  double limit;
  bool least;  ///< the quantity is at least the limit; else at most
};

inline constexpr std::size_t kQualityRules = 27;
using QualityRules = std::array<QualityRule, kQualityRules>;
/// The published limits; min-words and the paragraphs are peS2o's.
QualityRules default_quality_rules();

/// The quantities in the rules' order. `masked` is text without mathematics; paragraphs are parted by empty lines.
std::array<double, kQualityRules> measure_quality(std::string_view masked);

/// Which rules the quantities break, as indices.
std::vector<std::size_t> broken_rules(const QualityRules& rules, const std::array<double, kQualityRules>& measured);

}  // namespace eddy::text
