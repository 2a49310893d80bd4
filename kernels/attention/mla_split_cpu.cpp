#include <algorithm>

#include "kernels/attention/attention.h"
#include "kernels/attention/attention_cuda.h"
#include "kernels/common/checks.h"
#include "kernels/common/math.h"
#include "kernels/common/scratch.h"

namespace eddy::kernels {
namespace {

/// rope's equation on one vector.
void rotate(float* v, std::int32_t position, const RopeTable& table, double direction) {
  const auto pairs = static_cast<std::int64_t>(table.inverse_frequency.size());
  const double* frequency = table.inverse_frequency.data();
#pragma omp simd
  for (std::int64_t i = 0; i < pairs; ++i) {
    const CosSin turn = cos_sin(position * frequency[i]);
    const auto cosine = static_cast<float>(turn.cos * table.magnitude),
               sine = static_cast<float>(turn.sin * table.magnitude * direction);
    const float a = v[2 * i], b = v[2 * i + 1];
    v[2 * i] = a * cosine - b * sine;
    v[2 * i + 1] = a * sine + b * cosine;
  }
}

}  // namespace

void mla_split_kv(const Stream& stream, View kv, View k_rope, View positions, const RopeTable& table, int heads,
                  int nope, int d_v, View k, View v) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::mla_split_kv(stream, kv, k_rope, positions, table, heads, nope, d_v, k, v);
  const auto rope = 2 * static_cast<std::int64_t>(table.inverse_frequency.size());
  const Rows in = rows_of(kv, -1, std::int64_t{heads} * (nope + d_v), {"mla_split_kv", "kv"});
  const Rows shared = rows_of(k_rope, in.rows, rope, {"mla_split_kv", "k_rope"});
  const Rows key = rows_of(k, in.rows, heads * (nope + rope), {"mla_split_kv", "k"});
  const Rows value = rows_of(v, in.rows, std::int64_t{heads} * d_v, {"mla_split_kv", "v"});
  const std::int32_t* position = ints_of(positions, in.rows, {"mla_split_kv", "positions"});
#pragma omp parallel if (worth_threads(in.rows * in.cols))
  {
    float* rotated = scratch<float>(rope);
#pragma omp for schedule(static)
    for (std::int64_t t = 0; t < in.rows; ++t) {
      const float* from = in[t];
      float *to_key = key[t], *to_value = value[t];
      std::copy_n(shared[t], rope, rotated);
      rotate(rotated, position[t], table, 1);
      for (int h = 0; h < heads; ++h, from += nope + d_v, to_key += nope + rope, to_value += d_v) {
        std::copy_n(from, nope, to_key);
        std::copy_n(rotated, rope, to_key + nope);
        std::copy_n(from + nope, d_v, to_value);
      }
    }
  }
}

void mla_split_kv_backward(const Stream& stream, View dk, View dv, View positions, const RopeTable& table, int heads,
                           int nope, int d_v, View dkv, View dk_rope) {
  if constexpr (device::kCuda)
    if (stream.on_gpu())
      return cuda::mla_split_kv_backward(stream, dk, dv, positions, table, heads, nope, d_v, dkv, dk_rope);
  const auto rope = 2 * static_cast<std::int64_t>(table.inverse_frequency.size());
  const Rows out = rows_of(dkv, -1, std::int64_t{heads} * (nope + d_v), {"mla_split_kv_backward", "dkv"});
  const Rows shared = rows_of(dk_rope, out.rows, rope, {"mla_split_kv_backward", "dk_rope"});
  const Rows key = rows_of(dk, out.rows, heads * (nope + rope), {"mla_split_kv_backward", "dk"});
  const Rows value = rows_of(dv, out.rows, std::int64_t{heads} * d_v, {"mla_split_kv_backward", "dv"});
  const std::int32_t* position = ints_of(positions, out.rows, {"mla_split_kv_backward", "positions"});
#pragma omp parallel for schedule(static) if (worth_threads(out.rows * out.cols))
  for (std::int64_t t = 0; t < out.rows; ++t) {
    const float *from_key = key[t], *from_value = value[t];
    float *to = out[t], *sum = shared[t];
    std::fill_n(sum, rope, 0.0f);
    for (int h = 0; h < heads; ++h, to += nope + d_v, from_key += nope + rope, from_value += d_v) {
      std::copy_n(from_key, nope, to);
      std::copy_n(from_value, d_v, to + nope);
#pragma omp simd
      for (std::int64_t i = 0; i < rope; ++i) sum[i] += from_key[nope + i];
    }
    rotate(sum, position[t], table, -1);
  }
}

}  // namespace eddy::kernels
