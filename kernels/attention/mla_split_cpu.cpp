#include <algorithm>

#include "kernels/attention/attention.h"
#include "kernels/attention/attention_cuda.h"
#include "kernels/common/checks.h"

namespace eddy::kernels {

void mla_split_kv(const Stream& stream, View kv, View k_rope, int heads, int nope, int rope, int d_v, View k, View v) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::mla_split_kv(stream, kv, k_rope, heads, nope, rope, d_v, k, v);
  const Rows in = rows_of(kv, -1, std::int64_t{heads} * (nope + d_v), {"mla_split_kv", "kv"});
  const Rows rotated = rows_of(k_rope, in.rows, rope, {"mla_split_kv", "k_rope"});
  const Rows key = rows_of(k, in.rows, std::int64_t{heads} * (nope + rope), {"mla_split_kv", "k"});
  const Rows value = rows_of(v, in.rows, std::int64_t{heads} * d_v, {"mla_split_kv", "v"});
#pragma omp parallel for schedule(static) if (worth_threads(in.rows * in.cols))
  for (std::int64_t t = 0; t < in.rows; ++t) {
    const float* from = in[t];
    float *to_key = key[t], *to_value = value[t];
    for (int h = 0; h < heads; ++h, from += nope + d_v, to_key += nope + rope, to_value += d_v) {
      std::copy_n(from, nope, to_key);
      std::copy_n(rotated[t], rope, to_key + nope);
      std::copy_n(from + nope, d_v, to_value);
    }
  }
}

void mla_split_kv_backward(const Stream& stream, View dk, View dv, int heads, int nope, int rope, int d_v, View dkv,
                           View dk_rope) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::mla_split_kv_backward(stream, dk, dv, heads, nope, rope, d_v, dkv, dk_rope);
  const Rows out = rows_of(dkv, -1, std::int64_t{heads} * (nope + d_v), {"mla_split_kv_backward", "dkv"});
  const Rows rotated = rows_of(dk_rope, out.rows, rope, {"mla_split_kv_backward", "dk_rope"});
  const Rows key = rows_of(dk, out.rows, std::int64_t{heads} * (nope + rope), {"mla_split_kv_backward", "dk"});
  const Rows value = rows_of(dv, out.rows, std::int64_t{heads} * d_v, {"mla_split_kv_backward", "dv"});
#pragma omp parallel for schedule(static) if (worth_threads(out.rows * out.cols))
  for (std::int64_t t = 0; t < out.rows; ++t) {
    const float *from_key = key[t], *from_value = value[t];
    float *to = out[t], *sum = rotated[t];
    std::fill_n(sum, rope, 0.0f);
    for (int h = 0; h < heads; ++h, to += nope + d_v, from_key += nope + rope, from_value += d_v) {
      std::copy_n(from_key, nope, to);
      std::copy_n(from_value, d_v, to + nope);
#pragma omp simd
      for (int i = 0; i < rope; ++i) sum[i] += from_key[nope + i];
    }
  }
}

}  // namespace eddy::kernels
