#include "kernels/elementwise/elementwise.h"

#include "base/error.h"
#include "catch.h"
#include "values.h"

using namespace eddy_test;
using namespace eddy::kernels;

TEST_CASE("elementwise: every mix of strides and sizes around the runs") {
  for (const auto& [rows, cols] : {std::array{1, 1}, {3, 7}, {65, 129}, {2, 20000}, {1, 40000}, {0, 4}, {4, 0}})
    for (const int gap_x : {0, 3})
      for (const int gap_y : {0, 5}) {
        Block x = Block::random(rows, cols, 1, gap_x), y = Block::random(rows, cols, 2, gap_y), sum = y;
        add({}, x, sum);
        bool right = true;
        for (std::int64_t i = 0; i < std::int64_t{rows} * cols; ++i) right = right && sum.at(i) == y.at(i) + x.at(i);
        CHECK(right);
        copy({}, x, y);
        CHECK(y.floats() == x.floats());
        scale({}, y, -2);
        right = true;
        for (std::int64_t i = 0; i < std::int64_t{rows} * cols; ++i) right = right && y.at(i) == -2 * x.at(i);
        CHECK(right);
        fill({}, y, 3);
        CHECK(y.floats() == std::vector<float>(static_cast<std::size_t>(rows * cols), 3.0f));
        CHECK((sum.gaps_untouched() && y.gaps_untouched()));
      }
}

TEST_CASE("elementwise: copy takes any type, nothing takes shapes or types that differ") {
  std::vector<std::int32_t> a{1, 2, 3, 4}, b(4);
  copy({}, ints(a, 2, 2), ints(b, 2, 2));
  CHECK(a == b);
  copy({}, ints(b, 2, 2).col_range(0, 1), ints(a, 2, 2).col_range(1, 2));
  CHECK(a == std::vector<std::int32_t>{1, 1, 3, 3});
  Block x(2, 2), y(4, 1);
  CHECK_THROWS_AS(add({}, x, y), eddy::Error);
  CHECK_THROWS_AS(copy({}, x, y), eddy::Error);
  CHECK_THROWS_AS(copy({}, ints(a, 2, 2), x), eddy::Error);
  std::vector<std::uint8_t> small(4);
  CHECK_THROWS_AS(fill({}, bytes(small), 1), eddy::Error);
}
