#include "kernels/permute/permute.h"

#include "base/error.h"
#include "catch.h"
#include "values.h"

using namespace eddy_test;
using namespace eddy::kernels;
using Indices = std::vector<std::int32_t>;

TEST_CASE("gather_rows and gather_rows_scaled by hand") {
  Block x(3, 2, {1, 2, 3, 4, 5, 6}), y(4, 2, 1, 9), scale(1, 4, {2, 0.5f, 3, -1});
  Indices rows{2, 0, -1, 2};
  gather_rows({}, x, ints(rows), y);
  CHECK(y.floats() == std::vector<float>{5, 6, 1, 2, 0, 0, 5, 6});
  gather_rows_scaled({}, x, ints(rows), scale.flat(), y);
  CHECK(y.floats() == std::vector<float>{10, 12, 0.5f, 1, 0, 0, -5, -6});
  CHECK(y.gaps_untouched());
}

TEST_CASE("combine_rows by hand") {
  Block x(3, 2, {1, 2, 3, 4, 5, 6}), y(2, 2, 1, 10), weights(2, 2, {2, 1, 0.5f, 7});
  Indices slots{0, 2, 1, -1};
  combine_rows({}, x, ints(slots, 2, 2), weights, false, y);
  CHECK(y.floats() == std::vector<float>{7, 10, 1.5f, 2});
  combine_rows({}, x, ints(slots, 2, 2), {}, true, y);
  CHECK(y.floats() == std::vector<float>{13, 18, 4.5f, 6});
  CHECK(y.gaps_untouched());
  Block dweights(2, 2, 0, 9), dy(2, 2, {1, -1, 2, 3});
  combine_rows_backward_weights({}, dy, x, ints(slots, 2, 2), dweights);
  CHECK(dweights.floats() == std::vector<float>{-1, -1, 18, 0});
}

TEST_CASE("permutation: dispatch, combine and their gradients agree on a random routing") {
  for (const auto& [tokens, k, hidden] :
       {std::array{1, 1, 1}, {7, 3, 65}, {65, 2, 129}, {129, 8, 3}, {0, 2, 4}, {300, 4, 128}}) {
    // token t's j-th copy lies in row (t · k + j) · 7 mod R, for R = tokens · k not a multiple of 7
    const int total = tokens * k, rows = total % 7 ? total : total + 1;
    Indices source(static_cast<std::size_t>(rows), -1), slots;
    for (int i = 0; i < total; ++i) {
      const int row = i * 7 % rows;
      const bool dropped = i % 5 == 4;  // a choice without an expert
      slots.push_back(dropped ? -1 : row);
      if (!dropped) source[static_cast<std::size_t>(row)] = i / k;
    }
    Block x = Block::random(tokens, hidden, 1, 2), expert(rows, hidden, 1), weights = Block::random(tokens, k, 2),
          y(tokens, hidden, 3);
    gather_rows({}, x, ints(source), expert);
    combine_rows({}, expert, ints(slots, tokens, k), weights, false, y);
    Doubles expected, dw_expected;
    Block dy = Block::random(tokens, hidden, 3), dw(tokens, k), scale(1, rows), dx(rows, hidden, 2);
    for (int t = 0; t < tokens; ++t) {
      double sum = 0, inner = 0;
      for (int c = 0; c < hidden; ++c) inner += double{x(t, c)} * double{dy(t, c)};
      for (int j = 0; j < k; ++j) {
        const std::int32_t slot = slots[static_cast<std::size_t>(t * k + j)];
        dw_expected.push_back(slot < 0 ? 0 : inner);
        if (slot < 0) continue;
        sum += double{weights(t, j)};
        scale.at(slot) = weights(t, j);
      }
      for (int c = 0; c < hidden; ++c) expected.push_back(sum * double{x(t, c)});
    }
    CHECK(distance(y.doubles(), expected) < 4 * kUlp);
    combine_rows_backward_weights({}, dy, expert, ints(slots, tokens, k), dw);
    CHECK(distance(dw.doubles(), dw_expected) < 2 * kUlp * std::sqrt(hidden));
    gather_rows_scaled({}, dy, ints(source), scale.flat(), dx);
    // <combine(expert), dy> = <expert, dx>
    CHECK(dot(y.doubles(), dy.doubles()) == approx(dot(expert.doubles(), dx.doubles())).epsilon(1e-5).margin(1e-4));
    CHECK((y.gaps_untouched() && expert.gaps_untouched() && dx.gaps_untouched()));
  }
}

TEST_CASE("permutation: indices beyond the rows are refused") {
  Block x(3, 2), y(1, 2), w(1, 1), s(1, 1);
  Indices bad{3};
  CHECK_THROWS_WITH(gather_rows({}, x, ints(bad), y), "gather_rows: 'rows'[0] is 3, outside [0, 3) and not -1");
  CHECK_THROWS_AS(combine_rows({}, x, ints(bad, 1, 1), {}, false, y), eddy::Error);
  CHECK_THROWS_AS(combine_rows_backward_weights({}, y, x, ints(bad, 1, 1), w), eddy::Error);
  bad[0] = -2;
  CHECK_THROWS_AS(gather_rows_scaled({}, x, ints(bad), s.flat(), y), eddy::Error);
}
