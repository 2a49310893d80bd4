// MinHash: signatures worked by hand, and planted pairs of known similarity found as often as theory says.
#include "text/minhash.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/rng.h"
#include "catch.h"
#include "text/words.h"

using namespace eddy::text;

namespace {
std::vector<std::uint64_t> words(const std::string& text) {
  std::vector<std::uint64_t> out;
  word_hashes(text, out);
  return out;
}
/// How many of `pairs` pairs with Jaccard similarity shared / (shared + 2 own) meet in a band.
double found(const MinHashConfig& config, int pairs, std::size_t shared, std::size_t own, std::uint64_t stream) {
  const MinHasher hasher(config);
  std::vector<std::uint32_t> signature;
  std::vector<std::uint64_t> a, b, keys_a, keys_b;
  int met = 0;
  for (int p = 0; p < pairs; ++p) {
    a.clear();
    for (std::size_t i = 0; i < shared + own; ++i)
      a.push_back(eddy::mix(eddy::mix(stream, static_cast<std::uint64_t>(p)), i));
    b.assign(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(shared));
    for (std::size_t i = 0; i < own; ++i) b.push_back(eddy::mix(eddy::mix(~stream, static_cast<std::uint64_t>(p)), i));
    hasher.signature(a, signature);
    hasher.band_keys(signature, keys_a);
    hasher.signature(b, signature);
    hasher.band_keys(signature, keys_b);
    bool meets = false;
    for (std::size_t i = 0; i < keys_a.size(); ++i) meets = meets || keys_a[i] == keys_b[i];
    met += meets;
  }
  return static_cast<double>(met) / pairs;
}
}  // namespace

TEST_CASE("words: case, punctuation and spaces make no difference, letters do") {
  CHECK(words("The  Theorem,\nof $x^2$.") == words("the theorem of x 2"));
  CHECK(words("na\u00EFve\u00A0idea \u2014 \u201Cyes\u201D") == words("na\u00EFve idea yes"));
  CHECK(words("a b") != words("ab"));
  CHECK(words("caf\u00E9") != words("cafe"));
  CHECK(words(" .,;").empty());
  CHECK(words(std::string(1000, 'x')).size() == 1);
  CHECK(words(std::string(1000, 'x')) != words(std::string(1001, 'x')));
  std::vector<std::uint64_t> hashes;
  std::vector<std::uint32_t> ends;
  word_hashes("ab, cd\u2014e", hashes, &ends);
  CHECK(hashes.size() == 3);
  CHECK(ends[0] == 2);
  CHECK(ends[2] == 10);
}

TEST_CASE("runs of words roll") {
  const auto w = words("a b c d a b c");
  std::vector<std::uint64_t> grams;
  ngram_hashes(w, 3, grams);
  REQUIRE(grams.size() == 5);
  CHECK(grams[0] == grams[4]);
  CHECK(std::set<std::uint64_t>(grams.begin(), grams.end()).size() == 4);
  std::vector<std::uint64_t> tail;
  ngram_hashes(words("c d a"), 3, tail);
  CHECK(tail == std::vector<std::uint64_t>{grams[2]});
  ngram_hashes(words("a b"), 3, grams);
  CHECK(grams.size() == 1);
  ngram_hashes({}, 3, grams);
  CHECK(grams.empty());
}

TEST_CASE("a signature is the least of each row's hashes, in any order, with repetitions") {
  const MinHasher hasher({.shingle = 5, .bands = 5, .rows = 7, .seed = 3});
  const std::vector<std::uint64_t> x{11, 222, 3333, 44444}, y{44444, 11, 11, 3333, 222};
  std::vector<std::uint32_t> a, b, one, least(35, ~std::uint32_t{0});
  hasher.signature(x, a);
  hasher.signature(y, b);
  CHECK(a == b);
  REQUIRE(a.size() == 35);
  for (const std::uint64_t v : x) {
    hasher.signature(std::vector{v}, one);
    for (std::size_t i = 0; i < 35; ++i) least[i] = std::min(least[i], one[i]);
  }
  CHECK(a == least);
  MinHasher other({.shingle = 5, .bands = 5, .rows = 7, .seed = 4});
  other.signature(x, b);
  CHECK(a != b);
  CHECK(other.keys("...").empty());
  CHECK(other.keys("The theorem, of the primes, at length.") == other.keys("the theorem of the primes at length"));
  CHECK_THROWS(MinHasher({.bands = 0}));
  CHECK_THROWS(MinHasher({.bands = 200, .rows = 8}));
}

TEST_CASE("planted near-duplicates are found as often as theory says") {
  // [shared, own]: similarity shared / (shared + 2 own)
  struct Case {
    std::size_t shared, own;
  };
  std::uint64_t stream = 0;
  for (const MinHashConfig& config : {MinHashConfig{}, MinHashConfig{.bands = 20, .rows = 13}})
    for (const Case& c : {Case{100, 50}, Case{110, 45}, Case{120, 40}, Case{130, 35}, Case{140, 30}, Case{150, 25},
                          Case{160, 20}, Case{170, 15}, Case{180, 10}, Case{190, 5}, Case{200, 0}}) {
      const double s = static_cast<double>(c.shared) / static_cast<double>(c.shared + 2 * c.own);
      const double seen = found(config, 6000, c.shared, c.own, ++stream), theory = probability_found(config, s);
      INFO("bands " << config.bands << " rows " << config.rows << " s " << s << ": found " << seen << ", theory "
                    << theory);
      CHECK(std::abs(seen - theory) < 0.03);
    }
}
