#include "kernels/reduce/reduce.h"

#include <omp.h>

#include <limits>

#include "base/error.h"
#include "catch.h"
#include "values.h"

using namespace eddy_test;
using namespace eddy::kernels;

namespace {
double squares(View x, double before = 0) {
  sum_of_squares({}, x, View(&before, Dtype::f64, {1}));
  return before;
}
}  // namespace

TEST_CASE("sum_of_squares by hand, added to what is there") {
  Block x(1, 4, {1, -2, 3, 0.5f}), none(1, 0);
  CHECK(squares(x.flat()) == 14.25);
  CHECK(squares(x.flat(), 100) == 114.25);
  CHECK(squares(none.flat(), 3) == 3);
  float narrow = 0;
  CHECK_THROWS_AS(sum_of_squares({}, x.flat(), View(&narrow, Dtype::f32, {1})), eddy::Error);
}

TEST_CASE("sum_of_squares: in double, the same bits whatever the threads") {
  for (const int n : {1, 7, 4095, 4097, 100003}) {
    Block x = Block::random(1, n, 1, 0, 1e20);  // squares beyond float32
    double expected = 0;
    for (int i = 0; i < n; ++i) expected += double{x.at(i)} * double{x.at(i)};
    const int threads = omp_get_max_threads();
    Doubles found;
    for (const int k : {1, 2, 5}) {
      omp_set_num_threads(k);
      found.push_back(squares(x.flat()));
    }
    omp_set_num_threads(threads);
    CHECK(found[0] == approx(expected).epsilon(1e-13));
    CHECK((found[0] == found[1] && found[0] == found[2]));
  }
}

TEST_CASE("sum_of_squares: NaN and infinity carry through") {
  Block x(1, 3, {1, std::numeric_limits<float>::quiet_NaN(), 2});
  CHECK(std::isnan(squares(x.flat())));
  x.at(1) = -std::numeric_limits<float>::infinity();
  CHECK(std::isinf(squares(x.flat())));
}
