#include "kernels/permute/permute.h"

#include "base/error.h"
#include "catch.h"
#include "values.h"

using namespace eddy_test;
using namespace eddy::kernels;
using Indices = std::vector<std::int32_t>;

TEST_CASE("gather_rows by hand") {
  Block x(3, 2, {1, 2, 3, 4, 5, 6}), y(4, 2, 1, 9);
  Indices rows{2, 0, -1, 2};
  gather_rows({}, x, ints(rows), y);
  CHECK(y.floats() == std::vector<float>{5, 6, 1, 2, 0, 0, 5, 6});
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
}

TEST_CASE("permutation: gather and combine agree on a random routing") {
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
    Doubles expected;
    for (int t = 0; t < tokens; ++t) {
      double sum = 0;
      for (int j = 0; j < k; ++j)
        if (slots[static_cast<std::size_t>(t * k + j)] >= 0) sum += double{weights(t, j)};
      for (int c = 0; c < hidden; ++c) expected.push_back(sum * double{x(t, c)});
    }
    CHECK(distance(y.doubles(), expected) < 4 * kUlp);
    CHECK((y.gaps_untouched() && expert.gaps_untouched()));
  }
}

TEST_CASE("permutation: indices beyond the rows are refused") {
  Block x(3, 2), y(1, 2);
  Indices bad{3};
  CHECK_THROWS_WITH(gather_rows({}, x, ints(bad), y), "gather_rows: 'rows'[0] is 3, outside [0, 3) and not -1");
  CHECK_THROWS_AS(combine_rows({}, x, ints(bad, 1, 1), {}, false, y), eddy::Error);
  bad[0] = -2;
  CHECK_THROWS_AS(gather_rows({}, x, ints(bad), y), eddy::Error);
}
