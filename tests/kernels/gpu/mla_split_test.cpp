// MLA's split of keys and values on the GPU against its CPU twin.
#include "kernels/attention/attention.h"
#include "padded.h"

using namespace eddy_test;  // NOLINT
using namespace eddy::kernels;

TEST_CASE("mla_split_kv on the GPU") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  struct Size {
    int heads, nope, rope, d_v;
  };
  for (const std::int64_t tokens : {0, 1, 7, 65})
    // DeepSeek's heads; the tiny model's; odd ones; a wide rotated part; more packs than a warp's threads
    for (const auto& [heads, nope, rope, d_v] :
         {Size{128, 128, 64, 128}, {4, 16, 8, 16}, {3, 5, 4, 3}, {40, 8, 256, 24}, {7, 304, 8, 512}, {1, 300, 6, 1}})
      for (const Dtype dtype : {Dtype::f32, Dtype::bf16})
        for (const std::int64_t gap : {0, 8, 3}) {
          CAPTURE(tokens, heads, nope, rope, d_v, eddy::name_of(dtype), gap);
          const std::int64_t wide = heads * (nope + d_v), key = heads * (nope + rope), value = heads * d_v;
          const auto random = [&](std::int64_t cols, unsigned seed) {
            return random_tensor({tokens, cols}, seed, dtype);
          };
          const Tensor kv = random(wide, 1), k_rope = random(rope, 2), dk = random(key, 3), dv = random(value, 4);
          RopeTable table{{}, 1.25};
          for (int i = 0; i < rope / 2; ++i) table.inverse_frequency.push_back(std::pow(1e4, -2.0 * i / rope));
          Tensor at({tokens}, Dtype::i32);
          for (std::int64_t t = 0; t < tokens; ++t) at.i32()[t] = static_cast<std::int32_t>(t * 7919 % 163840);
          const Tensor at_there = upload(*gpu, at);
          const Tensor k({tokens, key}), v({tokens, value}), dkv({tokens, wide}), dk_rope({tokens, rope});
          mla_split_kv({}, kv, k_rope, at, table, heads, nope, d_v, k, v);
          mla_split_kv_backward({}, dk, dv, at, table, heads, nope, d_v, dkv, dk_rope);

          const auto there = [&](const Tensor& t) { return Padded(*gpu, t, dtype, gap); };
          const auto empty = [&](std::int64_t cols) { return Padded::poisoned(*gpu, tokens, cols, dtype, gap); };
          const Padded to_k = empty(key), to_v = empty(value), to_kv = empty(wide), to_rope = empty(rope);
          mla_split_kv(*gpu, there(kv), there(k_rope), at_there, table, heads, nope, d_v, to_k, to_v);
          mla_split_kv_backward(*gpu, there(dk), there(dv), at_there, table, heads, nope, d_v, to_kv, to_rope);
          CHECK(relative_error(to_k.host(), k) < tolerance(dtype));
          CHECK(same_bits(to_v.host(), v));
          CHECK(same_bits(to_kv.host(), dkv));
          CHECK(relative_error(to_rope.host(), dk_rope) < tolerance(dtype));
        }
}
