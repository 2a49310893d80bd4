#include "catch.h"
#include "kernels/attention/attention.h"
#include "values.h"

using namespace eddy_test;
using namespace eddy::kernels;

TEST_CASE("mla_split_kv: one token, two heads by hand") {
  // nope 2, rope 1, d_v 1
  Block kv(1, 6, {1, 2, 3, 4, 5, 6}), k_rope(1, 1, {9}), k(1, 6), v(1, 2);
  mla_split_kv({}, kv, k_rope, 2, 2, 1, 1, k, v);
  CHECK(k.floats() == std::vector<float>{1, 2, 9, 4, 5, 9});
  CHECK(v.floats() == std::vector<float>{3, 6});
  Block dkv(1, 6, 0, 99), dk_rope(1, 1, 0, 99);
  mla_split_kv_backward({}, k, v, 2, 2, 1, 1, dkv, dk_rope);
  CHECK(dkv.floats() == kv.floats());
  CHECK(dk_rope(0, 0) == 18);
}

TEST_CASE("mla_split_kv: the gradient is the transpose; strided views, odd sizes, no tokens") {
  for (const int tokens : {0, 1, 7, 65})
    for (const int heads : {1, 3}) {
      const int nope = 5, rope = 4, d_v = 3;
      Block kv = Block::random(tokens, heads * (nope + d_v), 1, 2), k_rope = Block::random(tokens, rope, 2, 11);
      Block k(tokens, heads * (nope + rope), 1), v(tokens, heads * d_v, 4);
      Block dk = Block::random(tokens, heads * (nope + rope), 3, 5), dv = Block::random(tokens, heads * d_v, 4, 1);
      Block dkv(tokens, heads * (nope + d_v), 3, 8), dk_rope(tokens, rope, 6, 8);
      mla_split_kv({}, kv, k_rope, heads, nope, rope, d_v, k, v);
      mla_split_kv_backward({}, dk, dv, heads, nope, rope, d_v, dkv, dk_rope);
      const double forward = dot(k.doubles(), dk.doubles()) + dot(v.doubles(), dv.doubles());
      const double backward = dot(kv.doubles(), dkv.doubles()) + dot(k_rope.doubles(), dk_rope.doubles());
      CHECK(forward == approx(backward).epsilon(1e-5).margin(1e-5));
      for (int t = 0; t < tokens; ++t)
        for (int h = 0; h < heads; ++h) {
          CHECK(k(t, h * (nope + rope) + nope - 1) == kv(t, h * (nope + d_v) + nope - 1));
          CHECK(k(t, h * (nope + rope) + nope) == k_rope(t, 0));
          CHECK(v(t, h * d_v + d_v - 1) == kv(t, (h + 1) * (nope + d_v) - 1));
        }
      CHECK((k.gaps_untouched() && v.gaps_untouched() && dkv.gaps_untouched() && dk_rope.gaps_untouched()));
    }
}
