#pragma once
// MinHash signatures and their bands (Broder, "On the resemblance and containment of documents", 1997; Leskovec,
// Rajaraman, Ullman, "Mining of Massive Datasets", chapter 3): two texts whose sets of shingles have the Jaccard
// similarity s agree in a band of r rows with probability s^r, and in at least one of b bands with 1 - (1 - s^r)^b.
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace eddy::text {

struct MinHashConfig {
  std::uint64_t shingle = 5;  ///< words
  std::uint64_t bands = 14, rows = 8;
  std::uint64_t seed = 1;
  /// Throws Error (status 2) for values that make no signature: 0, or more than 1,024 rows in all.
  void validate() const;
};

/// The probability that a pair of similarity s is found.
double probability_found(const MinHashConfig& config, double s);

class MinHasher {
 public:
  explicit MinHasher(const MinHashConfig& config);

  /// The signature [bands x rows] of a set of shingles given by hashes (which may repeat): of each row's hash function
  /// the least value. Row h of x is ((x ^ seed_h) * factor_h) mod 2^32 with x's low half.
  void signature(std::span<const std::uint64_t> shingles, std::vector<std::uint32_t>& out) const;
  /// One 64-bit key a band, other keys for other bands; of a signature.
  void band_keys(const std::vector<std::uint32_t>& signature, std::vector<std::uint64_t>& keys) const;
  /// Words, shingles, signature, keys of a text; nothing for a text without words.
  std::vector<std::uint64_t> keys(std::string_view text);

  /// Words of the last text that keys() saw.
  std::size_t words() const { return words_.size(); }
  const MinHashConfig& config() const { return config_; }

 private:
  MinHashConfig config_;
  std::vector<std::uint32_t> seeds_, factors_;  // [rows in all, rounded up to whole blocks]
  std::vector<std::uint64_t> words_, shingles_;
  std::vector<std::uint32_t> signature_;
};

}  // namespace eddy::text
