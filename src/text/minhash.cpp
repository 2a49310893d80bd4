#include "text/minhash.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "base/hash.h"
#include "base/rng.h"
#include "text/words.h"

namespace eddy::text {
namespace {
/// Rows that one pass over the shingles keeps in registers.
constexpr std::size_t kBlock = 32;
}  // namespace

void MinHashConfig::validate() const {
  if (shingle == 0 || bands == 0 || rows == 0) fail_input("MinHash needs a shingle, bands and rows of at least 1");
  if (bands > 1024 || rows > 1024 || bands * rows > 1024)
    fail_input("MinHash: {} bands of {} rows are more than the 1,024 rows supported", bands, rows);
}

double probability_found(const MinHashConfig& c, double s) {
  return 1 - std::pow(1 - std::pow(s, static_cast<double>(c.rows)), static_cast<double>(c.bands));
}

MinHasher::MinHasher(const MinHashConfig& config) : config_(config) {
  config.validate();
  const std::size_t n = (config.bands * config.rows + kBlock - 1) / kBlock * kBlock;
  for (std::size_t i = 0; i < n; ++i) {
    const Philox w = philox(config.seed, i, 0x4D696E48617368);
    seeds_.push_back(w[0]);
    factors_.push_back(w[1] | 1);
  }
}

void MinHasher::signature(std::span<const std::uint64_t> shingles, std::vector<std::uint32_t>& out) const {
  out.resize(seeds_.size());
  for (std::size_t begin = 0; begin < seeds_.size(); begin += kBlock) {
    std::array<std::uint32_t, kBlock> least, seed, factor;
    least.fill(~std::uint32_t{0});
    std::copy_n(seeds_.begin() + static_cast<std::ptrdiff_t>(begin), kBlock, seed.begin());
    std::copy_n(factors_.begin() + static_cast<std::ptrdiff_t>(begin), kBlock, factor.begin());
    for (const std::uint64_t shingle : shingles) {
      const auto x = static_cast<std::uint32_t>(shingle);
      for (std::size_t i = 0; i < kBlock; ++i) least[i] = std::min(least[i], (x ^ seed[i]) * factor[i]);
    }
    std::copy(least.begin(), least.end(), out.begin() + static_cast<std::ptrdiff_t>(begin));
  }
  out.resize(config_.bands * config_.rows);
}

void MinHasher::band_keys(const std::vector<std::uint32_t>& signature, std::vector<std::uint64_t>& keys) const {
  keys.clear();
  for (std::size_t b = 0; b < config_.bands; ++b)
    keys.push_back(xxh3(signature.data() + b * config_.rows, config_.rows * sizeof(std::uint32_t), b));
}

std::vector<std::uint64_t> MinHasher::keys(std::string_view text) {
  std::vector<std::uint64_t> keys;
  word_hashes(text, words_);
  ngram_hashes(words_, config_.shingle, shingles_);
  if (shingles_.empty()) return keys;
  signature(shingles_, signature_);
  band_keys(signature_, keys);
  return keys;
}

}  // namespace eddy::text
