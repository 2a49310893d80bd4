#pragma once
// The order of rows as pure functions: a keyed permutation, and a mixture of sources.
#include <cstdint>
#include <vector>

namespace eddy::shard {

/// A permutation of [0, n), another one for each key, without a table: a Feistel network of six rounds over the next
/// even power of two, walked along its cycle until it falls below n (Black and Rogaway, "Ciphers with arbitrary finite
/// domains", CT-RSA 2002).
class Permutation {
 public:
  Permutation(std::uint64_t n, std::uint64_t key);
  std::uint64_t operator()(std::uint64_t i) const;  ///< i in [0, n)

 private:
  std::uint64_t once(std::uint64_t i) const;
  std::uint64_t n_, key_, mask_;
  int half_bits_;
};

/// Which source each row of the mixture comes from, in proportion to the weights: a table of 65,536 entries, repeated.
/// After any number of rows each source is within one row of its share (Tijdeman, "The chairman assignment problem",
/// Discrete Mathematics 32, 1980).
class Mixture {
 public:
  static constexpr std::uint64_t kPeriod = 65536;
  /// weights > 0, at most kPeriod of them; a source's share is its weight over their sum, at least 1/65,536.
  explicit Mixture(const std::vector<double>& weights);
  struct Draw {
    std::size_t source;
    std::uint64_t nth;  ///< how many rows of this source come before
  };
  Draw operator()(std::uint64_t row) const;

 private:
  std::vector<std::uint64_t> share_;   // [sources]: rows of each in a period; the sum is kPeriod
  std::vector<std::uint16_t> source_;  // [kPeriod], empty for a single source
  std::vector<std::uint32_t> nth_;     // [kPeriod]
};

}  // namespace eddy::shard
