#include "kernels/dispatch/dispatch.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "catch.h"
#include "values.h"

using namespace eddy_test;
using namespace eddy::kernels;
using Indices = std::vector<std::int32_t>;
using Longs = std::vector<std::int64_t>;

namespace {
View longs(Longs& v) {
  return View(v.data(), Dtype::i64, {static_cast<std::int64_t>(v.size())});
}
struct Sorted {
  Indices slots, pairs, tokens;
  Longs counts, offsets, total;
};
Sorted sort(Indices chosen, std::int64_t tokens, std::int64_t k, std::size_t experts) {
  const std::size_t n = chosen.size();
  Sorted s{Indices(n, -7),     Indices(n, -7),         Indices(n, -7),
           Longs(experts, -7), Longs(experts + 1, -7), Longs(experts, 100)};
  sort_by_expert({}, ints(chosen, tokens, k), ints(s.slots, tokens, k), ints(s.pairs), ints(s.tokens), longs(s.counts),
                 longs(s.offsets), longs(s.total));
  return s;
}
}  // namespace

TEST_CASE("sort_by_expert by hand") {
  const Sorted s = sort({2, 0, -1, 2, 0, -1}, 3, 2, 3);
  CHECK(s.slots == Indices{2, 0, -1, 3, 1, -1});
  CHECK(s.pairs == Indices{1, 4, 0, 3, -1, -1});
  CHECK(s.tokens == Indices{0, 2, 0, 1, -1, -1});
  CHECK(s.counts == Longs{2, 0, 2});
  CHECK(s.offsets == Longs{0, 2, 2, 4});
  CHECK(s.total == Longs{102, 100, 102});
  const Sorted none = sort({}, 0, 2, 2);
  CHECK(none.counts == Longs{0, 0});
  CHECK(none.offsets == Longs{0, 0, 0});
  CHECK(none.total == Longs{100, 100});
}

TEST_CASE("sort_by_expert: experts beyond the counts are refused") {
  CHECK_THROWS_WITH(sort({0, 3}, 1, 2, 3), "sort_by_expert: 'chosen'[1] is 3, outside [0, 3) and not -1");
}
