#include "catch.h"
#include "kernels/attention/attention.h"
#include "values.h"

using namespace eddy_test;
using namespace eddy::kernels;

namespace {
void rope_on(Block& x, std::vector<std::int32_t>& positions, const RopeTable& table) {
  rope({}, x, 1, 4, 0, ints(positions), table, false);
}
}  // namespace

TEST_CASE("mla_split_kv: two tokens, two heads by hand; the second token a quarter turn on") {
  // nope 2, rope 2, d_v 1
  const RopeTable quarter{{1.5707963267948966}, 1};
  std::vector<std::int32_t> positions{0, 1};
  Block kv(2, 6, {1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6}), k_rope(2, 2, {9, 7, 9, 7}), k(2, 8), v(2, 2);
  mla_split_kv({}, kv, k_rope, ints(positions), quarter, 2, 2, 1, k, v);
  CHECK(distance(k.doubles(), {1, 2, 9, 7, 4, 5, 9, 7, 1, 2, -7, 9, 4, 5, -7, 9}) < kUlp);
  CHECK(v.floats() == std::vector<float>{3, 6, 3, 6});
  Block dkv(2, 6, 0, 99), dk_rope(2, 2, 0, 99);
  mla_split_kv_backward({}, k, v, ints(positions), quarter, 2, 2, 1, dkv, dk_rope);
  CHECK(dkv.floats() == kv.floats());
  CHECK(distance(dk_rope.doubles(), {18, 14, 18, 14}) < kUlp);
}

TEST_CASE("mla_split_kv: the gradient is the transpose; strided views, odd sizes, no tokens") {
  const RopeTable table{{1, 0.01}, 1.25};
  for (const int tokens : {0, 1, 7, 65})
    for (const int heads : {1, 3}) {
      const int nope = 5, rope = 4, d_v = 3;
      std::vector<std::int32_t> positions;
      for (int t = 0; t < tokens; ++t) positions.push_back(t * 37 % 50);
      Block kv = Block::random(tokens, heads * (nope + d_v), 1, 2), k_rope = Block::random(tokens, rope, 2, 11);
      Block k(tokens, heads * (nope + rope), 1), v(tokens, heads * d_v, 4);
      Block dk = Block::random(tokens, heads * (nope + rope), 3, 5), dv = Block::random(tokens, heads * d_v, 4, 1);
      Block dkv(tokens, heads * (nope + d_v), 3, 8), dk_rope(tokens, rope, 6, 8);
      mla_split_kv({}, kv, k_rope, ints(positions), table, heads, nope, d_v, k, v);
      mla_split_kv_backward({}, dk, dv, ints(positions), table, heads, nope, d_v, dkv, dk_rope);
      const double forward = dot(k.doubles(), dk.doubles()) + dot(v.doubles(), dv.doubles());
      const double backward = dot(kv.doubles(), dkv.doubles()) + dot(k_rope.doubles(), dk_rope.doubles());
      CHECK(forward == approx(backward).epsilon(1e-5).margin(1e-5));
      Block rotated = k_rope;
      rope_on(rotated, positions, table);
      for (int t = 0; t < tokens; ++t)
        for (int h = 0; h < heads; ++h) {
          CHECK(k(t, h * (nope + rope) + nope - 1) == kv(t, h * (nope + d_v) + nope - 1));
          for (int i = 0; i < rope; ++i)
            CHECK(k(t, h * (nope + rope) + nope + i) == approx(rotated(t, i)).margin(1e-6));
          CHECK(v(t, h * d_v + d_v - 1) == kv(t, (h + 1) * (nope + d_v) - 1));
        }
      CHECK((k.gaps_untouched() && v.gaps_untouched() && dkv.gaps_untouched() && dk_rope.gaps_untouched()));
    }
}
