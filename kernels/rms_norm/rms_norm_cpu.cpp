#include "kernels/rms_norm/rms_norm.h"

#include <algorithm>
#include <cmath>

#include "kernels/common/checks.h"
#include "kernels/common/scratch.h"
#include "kernels/rms_norm/rms_norm_cuda.h"

namespace eddy::kernels {
namespace {
constexpr std::int64_t kBlock = 32;  // rows whose share of dweight one owner sums: fixed, whatever the threads
}

void rms_norm(const Stream& stream, View x, View weight, float eps, View y, View inv_rms) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::rms_norm(stream, x, weight, eps, y, inv_rms);
  const Rows in = rows_of(x, {"rms_norm", "x"});
  const std::int64_t tokens = in.rows, hidden = in.cols;
  const Rows out = rows_of(y, tokens, hidden, {"rms_norm", "y"});
  const float* w = floats_of(weight, hidden, {"rms_norm", "weight"});
  float* inverse = inv_rms ? floats_of(inv_rms, tokens, {"rms_norm", "inv_rms"}) : nullptr;
#pragma omp parallel for schedule(static) if (worth_threads(tokens * hidden))
  for (std::int64_t t = 0; t < tokens; ++t) {
    const float* a = in[t];
    float* b = out[t];
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < hidden; ++i) sum += a[i] * a[i];
    const float r = 1.0f / std::sqrt(sum / static_cast<float>(hidden) + eps);
#pragma omp simd
    for (std::int64_t i = 0; i < hidden; ++i) b[i] = a[i] * r * w[i];
    if (inverse) inverse[t] = r;
  }
}

void add_rms_norm(const Stream& stream, View x, View sum, View weight, float eps, View y, View inv_rms) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::add_rms_norm(stream, x, sum, weight, eps, y, inv_rms);
  const Rows in = rows_of(x, {"add_rms_norm", "x"});
  const std::int64_t tokens = in.rows, hidden = in.cols;
  const Rows total = rows_of(sum, tokens, hidden, {"add_rms_norm", "sum"}),
             out = rows_of(y, tokens, hidden, {"add_rms_norm", "y"});
  const float* w = floats_of(weight, hidden, {"add_rms_norm", "weight"});
  float* inverse = inv_rms ? floats_of(inv_rms, tokens, {"add_rms_norm", "inv_rms"}) : nullptr;
#pragma omp parallel for schedule(static) if (worth_threads(tokens * hidden))
  for (std::int64_t t = 0; t < tokens; ++t) {
    const float* a = in[t];
    float *s = total[t], *b = out[t], squares = 0;
#pragma omp simd reduction(+ : squares)
    for (std::int64_t i = 0; i < hidden; ++i) {
      s[i] += a[i];
      squares += s[i] * s[i];
    }
    const float r = 1.0f / std::sqrt(squares / static_cast<float>(hidden) + eps);
#pragma omp simd
    for (std::int64_t i = 0; i < hidden; ++i) b[i] = s[i] * r * w[i];
    if (inverse) inverse[t] = r;
  }
}

void rms_norm_backward(const Stream& stream, View dy, View x, View weight, View inv_rms, View residual, View dx,
                       View dweight) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::rms_norm_backward(stream, dy, x, weight, inv_rms, residual, dx, dweight);
  const Rows in = rows_of(x, {"rms_norm_backward", "x"});
  const std::int64_t tokens = in.rows, hidden = in.cols, blocks = (tokens + kBlock - 1) / kBlock;
  const Rows g = rows_of(dy, tokens, hidden, {"rms_norm_backward", "dy"}),
             out = rows_of(dx, tokens, hidden, {"rms_norm_backward", "dx"});
  const Rows bypass = residual ? rows_of(residual, tokens, hidden, {"rms_norm_backward", "residual"}) : Rows{};
  const float* w = floats_of(weight, hidden, {"rms_norm_backward", "weight"});
  const float* inverse = floats_of(inv_rms, tokens, {"rms_norm_backward", "inv_rms"});
  float* dw = dweight ? floats_of(dweight, hidden, {"rms_norm_backward", "dweight"}) : nullptr;
  float* partial = dw ? scratch<float>(blocks * hidden) : nullptr;  // [blocks, hidden]
#pragma omp parallel for schedule(static) if (worth_threads(tokens * hidden))
  for (std::int64_t block = 0; block < blocks; ++block) {
    float* mine = partial ? partial + block * hidden : nullptr;
    if (mine) std::fill_n(mine, hidden, 0.0f);
    for (std::int64_t t = block * kBlock; t < std::min(tokens, (block + 1) * kBlock); ++t) {
      const float *a = in[t], *d = g[t], r = inverse[t];
      float dot = 0;
#pragma omp simd reduction(+ : dot)
      for (std::int64_t i = 0; i < hidden; ++i) dot += d[i] * w[i] * a[i];
      if (mine) {
#pragma omp simd
        for (std::int64_t i = 0; i < hidden; ++i) mine[i] += d[i] * (a[i] * r);
      }
      const float c = dot * r * r / static_cast<float>(hidden);
      float* o = out[t];  // may be d or the residual: only the same element is read before it is written
      const float* b = bypass.data ? bypass[t] : nullptr;
      if (b) {
#pragma omp simd
        for (std::int64_t i = 0; i < hidden; ++i) o[i] = b[i] + r * (d[i] * w[i] - a[i] * c);
      } else {
#pragma omp simd
        for (std::int64_t i = 0; i < hidden; ++i) o[i] = r * (d[i] * w[i] - a[i] * c);
      }
    }
  }
  if (!dw) return;
  for (std::int64_t block = 0; block < blocks; ++block)
    for (std::int64_t i = 0; i < hidden; ++i) dw[i] += partial[block * hidden + i];
}

}  // namespace eddy::kernels
