#include "kernels/visits/visits.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "catch.h"
#include "kernels/dispatch/dispatch.h"
#include "values.h"

using namespace eddy_test;
using namespace eddy::kernels;
using Indices = std::vector<std::int32_t>;
using Longs = std::vector<std::int64_t>;

namespace {
View longs(Longs& v) {
  return View(v.data(), Dtype::i64, {static_cast<std::int64_t>(v.size())});
}
View floats(std::vector<float>& v, std::int64_t rows, std::int64_t cols) {
  return View(v.data(), Dtype::f32, {rows, cols});
}
Indices ranks_of(Indices chosen, std::int64_t tokens, std::int64_t k, std::int64_t local, std::int64_t ranks,
                 std::int64_t places) {
  Indices out(static_cast<std::size_t>(tokens * places), -7);
  visited_ranks({}, ints(chosen, tokens, k), local, ranks, ints(out, tokens, places));
  return out;
}
}  // namespace

TEST_CASE("visited_ranks by hand: each once, ascending") {
  const Indices chosen{7, 0, 6, /**/ 2, 3, -1, /**/ -1, -1, -1, /**/ 5, 1, 3};
  CHECK(ranks_of(chosen, 4, 3, 2, 4, 3) == Indices{0, 3, -1, /**/ 1, -1, -1, /**/ -1, -1, -1, /**/ 0, 1, 2});
  CHECK(ranks_of(chosen, 4, 3, 4, 2, 2) == Indices{0, 1, /**/ 0, -1, /**/ -1, -1, /**/ 0, 1});
  CHECK(ranks_of({}, 0, 3, 4, 2, 2).empty());
}

TEST_CASE("visited_ranks: too few places, and experts of no rank, are refused") {
  CHECK_THROWS_AS(ranks_of({0, 4, 8}, 1, 3, 4, 3, 2), eddy::Error);
  CHECK_THROWS_WITH(ranks_of({0, 8}, 1, 2, 4, 2, 2), "visited_ranks: 'chosen'[1] is 8, outside [0, 8) and not -1");
}

TEST_CASE("visit_classes by hand: by rank and how many of the token's experts are there") {
  Indices chosen{7, 0, 6, /**/ 2, 3, -1, /**/ -1, -1, -1, /**/ 5, 1, 3};
  Indices visits = ranks_of(chosen, 4, 3, 4, 2, 2), classes(8, -7);  // 0 1, 0 -, - -, 0 1
  visit_classes({}, ints(chosen, 4, 3), 4, 3, ints(visits, 4, 2), ints(classes, 4, 2));
  CHECK(classes == Indices{0, 4, /**/ 1, -1, /**/ -1, -1, /**/ 1, 3});
  CHECK_THROWS_WITH(visit_classes({}, ints(chosen, 4, 3), 4, 1, ints(visits, 4, 2), ints(classes, 4, 2)),
                    "visit_classes: visit 1 has 2 rows; expected 1 to 1");
}

TEST_CASE("deal_waves by hand: two ranks, two waves") {
  // By rank: tokens 0 1 2 visit rank 0 (places 0 1 2), tokens 0 2 visit rank 1 (places 3 4).
  Longs offsets{0, 3, 5};
  Indices slots{0, 3, 1, -1, 2, 4}, tokens(6, -1);
  deal_waves({}, longs(offsets), 2, ints(slots, 3, 2), ints(tokens));
  // Wave 0: token 0 to rank 0, token 0 to rank 1; wave 1: tokens 1 and 2 to rank 0, token 2 to rank 1.
  CHECK(tokens == Indices{0, 0, 1, 2, 2, -1});
  CHECK(slots == Indices{0, 1, 2, -1, 3, 4});
}

TEST_CASE("deal_waves: a permutation by wave, rank and token, cut as said") {
  constexpr std::int64_t kTokens = 97, kRanks = 5, kPlaces = 4;
  Indices chosen;
  for (std::int64_t i = 0; i < kTokens * kPlaces; ++i)
    chosen.push_back(i % 11 == 3 ? -1 : static_cast<std::int32_t>(i * i * 13 % 7 % kRanks));
  const Indices visits = ranks_of(chosen, kTokens, kPlaces, 1, kRanks, kPlaces);
  for (const std::int64_t waves : {1, 2, 3, 8, 200}) {
    Indices in = visits, slots(visits.size()), pairs(visits.size()), tokens(visits.size());
    Longs counts(kRanks), offsets(kRanks + 1);
    sort_by_expert({}, ints(in, kTokens, kPlaces), ints(slots, kTokens, kPlaces), ints(pairs), ints(tokens),
                   longs(counts), longs(offsets), {});
    const Indices by_rank = tokens;
    deal_waves({}, longs(offsets), waves, ints(slots, kTokens, kPlaces), ints(tokens));
    Indices want;
    for (std::int64_t w = 0; w < waves; ++w)
      for (std::size_t r = 0; r < kRanks; ++r)
        for (std::int64_t i = counts[r] * w / waves; i < counts[r] * (w + 1) / waves; ++i)
          want.push_back(by_rank[static_cast<std::size_t>(offsets[r] + i)]);
    want.resize(tokens.size(), -1);
    CAPTURE(waves);
    CHECK(tokens == want);
    for (std::size_t i = 0; i < slots.size(); ++i)
      if (slots[i] >= 0) CHECK(tokens[static_cast<std::size_t>(slots[i])] == static_cast<std::int32_t>(i / kPlaces));
  }
}

TEST_CASE("choices travel packed, and arrive counted from the rank's first expert") {
  Indices chosen{4, 1, /**/ -1, 3, /**/ 0, 5}, tokens{2, 0, 2}, packed(12, -7), there(6, -7);
  std::vector<float> weights{0.5f, 1.f, 0.f, -2.f, 3e-39f, 8.f}, weights_there(6, -7);
  pack_choices({}, ints(chosen, 3, 2), floats(weights, 3, 2), ints(tokens), ints(packed, 3, 4));
  CHECK(packed[0] == 0);
  CHECK(packed[1] == 5);
  CHECK(packed[4] == 4);
  unpack_choices({}, ints(packed, 3, 4), 3, 2, ints(there, 3, 2), floats(weights_there, 3, 2));
  CHECK(there == Indices{-1, -1, 1, -1, -1, -1});
  CHECK(weights_there == std::vector<float>{3e-39f, 8.f, 0.5f, 1.f, 3e-39f, 8.f});
  Indices none{0, -1, 1};
  CHECK_THROWS_AS(pack_choices({}, ints(chosen, 3, 2), floats(weights, 3, 2), ints(none), ints(packed, 3, 4)),
                  eddy::Error);
  Indices far{0, 3, 1};
  CHECK_THROWS_AS(pack_choices({}, ints(chosen, 3, 2), floats(weights, 3, 2), ints(far), ints(packed, 3, 4)),
                  eddy::Error);
}
