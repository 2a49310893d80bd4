// The order of rows: permutations without a table, mixtures of sources.
#include "shard/order.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "catch.h"

using namespace eddy::shard;

TEST_CASE("a permutation is one, for any size and key") {
  for (std::uint64_t n : {1, 2, 3, 4, 5, 16, 17, 63, 64, 65, 1000, 4097}) {
    for (std::uint64_t key : {0, 1, 12345}) {
      const Permutation p(n, key);
      std::vector<std::uint64_t> image(n), expected(n);
      for (std::uint64_t i = 0; i < n; ++i) image[i] = p(i);
      std::sort(image.begin(), image.end());
      std::iota(expected.begin(), expected.end(), 0u);
      CHECK(image == expected);
    }
  }
  CHECK_THROWS_AS(Permutation(3, 0)(3), eddy::Error);
}

TEST_CASE("permutations of different keys are as different as chance has it") {
  constexpr std::uint64_t n = 2000;
  const Permutation a(n, 1), b(n, 2);
  std::uint64_t same = 0, fixed = 0, neighbours = 0;
  double distance = 0;
  for (std::uint64_t i = 0; i < n; ++i) {
    same += a(i) == b(i);
    fixed += a(i) == i;
    neighbours += i > 0 && a(i) == a(i - 1) + 1;
    distance += std::abs(static_cast<double>(a(i)) - static_cast<double>(i)) / n;
  }
  // Each count is Poisson with mean 1: more than 9 happens once in ten million.
  CHECK(same <= 9);
  CHECK(fixed <= 9);
  CHECK(neighbours <= 9);
  CHECK(distance / n == approx(1.0 / 3).margin(0.03));
}

TEST_CASE("one source takes every row") {
  const Mixture m({0.3});
  for (std::uint64_t r : {0u, 1u, 70000u, 4000000000u}) {
    CHECK(m(r).source == 0);
    CHECK(m(r).nth == r);
  }
}

TEST_CASE("a mixture keeps its weights and counts each source without gaps") {
  const std::vector<double> weights{45875. / 65536, 13107. / 65536, 4588. / 65536, 1966. / 65536};
  const Mixture m(weights);
  std::vector<std::uint64_t> count(4, 0);
  double worst = 0;
  for (std::uint64_t r = 0; r < 3 * Mixture::kPeriod; ++r) {
    const auto draw = m(r);
    REQUIRE(draw.nth == count[draw.source]);
    ++count[draw.source];
    for (std::size_t i = 0; i < 4; ++i)
      worst = std::max(worst, std::abs(static_cast<double>(count[i]) - weights[i] * static_cast<double>(r + 1)));
  }
  CHECK(worst < 1);
  const Mixture tiny({1e6, 1e-6});
  std::uint64_t second = 0;
  for (std::uint64_t r = 0; r < Mixture::kPeriod; ++r) second += tiny(r).source;
  CHECK(second == 1);
}
