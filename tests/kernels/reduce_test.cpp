#include "kernels/reduce/reduce.h"

#include <omp.h>

#include <limits>

#include "catch.h"
#include "values.h"

using namespace eddy_test;
using namespace eddy::kernels;

TEST_CASE("sums by hand") {
  Block x(1, 4, {1, -2, 3, 0.5f});
  std::vector<std::uint8_t> mask{1, 0, 1, 0};
  CHECK(sum_of_squares({}, x.flat()) == 14.25);
  CHECK(masked_sum({}, x.flat(), {}) == 2.5);
  CHECK(masked_sum({}, x.flat(), bytes(mask)) == 4);
  Block none(1, 0);
  std::vector<std::uint8_t> no_mask;
  CHECK(sum_of_squares({}, none.flat()) == 0);
  CHECK(masked_sum({}, none.flat(), bytes(no_mask)) == 0);
}

TEST_CASE("sums: in double, the same bits whatever the threads") {
  for (const int n : {1, 7, 4095, 4097, 100003}) {
    Block x = Block::random(1, n, 1, 0, 1e20);  // squares beyond float32
    std::vector<std::uint8_t> mask;
    double squares = 0, sum = 0;
    for (int i = 0; i < n; ++i) {
      mask.push_back(i % 3 != 0);
      squares += double{x.at(i)} * double{x.at(i)};
      if (mask.back()) sum += double{x.at(i)};
    }
    const int threads = omp_get_max_threads();
    Doubles found;
    for (const int k : {1, 2, 5}) {
      omp_set_num_threads(k);
      found.push_back(sum_of_squares({}, x.flat()));
      found.push_back(masked_sum({}, x.flat(), bytes(mask)));
    }
    omp_set_num_threads(threads);
    CHECK(found[0] == approx(squares).epsilon(1e-13));
    CHECK(std::abs(found[1] - sum) <= 1e-13 * std::sqrt(squares * n));
    CHECK((found[0] == found[2] && found[0] == found[4]));
    CHECK((found[1] == found[3] && found[1] == found[5]));
  }
}

TEST_CASE("sums: NaN and infinity carry through, but not from under the mask") {
  Block x(1, 3, {1, std::numeric_limits<float>::quiet_NaN(), 2});
  std::vector<std::uint8_t> without{1, 0, 1}, with{0, 1, 0};
  CHECK(std::isnan(sum_of_squares({}, x.flat())));
  CHECK(masked_sum({}, x.flat(), bytes(without)) == 3);
  CHECK(std::isnan(masked_sum({}, x.flat(), bytes(with))));
  x.at(1) = -std::numeric_limits<float>::infinity();
  CHECK(std::isinf(sum_of_squares({}, x.flat())));
}
