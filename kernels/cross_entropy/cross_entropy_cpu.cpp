#include "kernels/cross_entropy/cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/common/checks.h"
#include "kernels/common/math.h"
#include "kernels/cross_entropy/cross_entropy_cuda.h"

namespace eddy::kernels {

void cross_entropy_max(const Stream& stream, View logits, View row_max) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::cross_entropy_max(stream, logits, row_max);
  const Rows in = rows_of(logits, {"cross_entropy_max", "logits"});
  float* max = floats_of(row_max, in.rows, {"cross_entropy_max", "row_max"});
#pragma omp parallel for schedule(static) if (worth_threads(in.rows * in.cols))
  for (std::int64_t t = 0; t < in.rows; ++t) {
    const float* a = in[t];
    float best = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : best)
    for (std::int64_t i = 0; i < in.cols; ++i) best = a[i] > best ? a[i] : best;
    max[t] = best;
  }
}

void cross_entropy_sums(const Stream& stream, View logits, View labels, std::int64_t vocab_begin, View row_max,
                        View sum_exp, View target) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::cross_entropy_sums(stream, logits, labels, vocab_begin, row_max, sum_exp, target);
  const Rows in = rows_of(logits, {"cross_entropy_sums", "logits"});
  const std::int32_t* label = ints_of(labels, in.rows, {"cross_entropy_sums", "labels"});
  const float* max = floats_of(row_max, in.rows, {"cross_entropy_sums", "row_max"});
  float* sums = floats_of(sum_exp, in.rows, {"cross_entropy_sums", "sum_exp"});
  float* targets = floats_of(target, in.rows, {"cross_entropy_sums", "target"});
#pragma omp parallel for schedule(static) if (worth_threads(in.rows * in.cols))
  for (std::int64_t t = 0; t < in.rows; ++t) {
    const float *a = in[t], m = max[t];
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < in.cols; ++i) sum += exp_f32(a[i] - m);
    sums[t] = sum;
    const std::int64_t own = label[t] - vocab_begin;
    targets[t] = label[t] >= 0 && own >= 0 && own < in.cols ? a[own] - m : 0.0f;
  }
}

void cross_entropy_loss(const Stream& stream, View labels, View sum_exp, View target, View loss) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::cross_entropy_loss(stream, labels, sum_exp, target, loss);
  const std::int64_t tokens = labels.numel();
  const std::int32_t* label = ints_of(labels, tokens, {"cross_entropy_loss", "labels"});
  const float* sums = floats_of(sum_exp, tokens, {"cross_entropy_loss", "sum_exp"});
  const float* targets = floats_of(target, tokens, {"cross_entropy_loss", "target"});
  double* total = doubles_of(loss, 1, {"cross_entropy_loss", "loss"});
  double sum = 0;
  for (std::int64_t t = 0; t < tokens; ++t)
    if (label[t] >= 0) sum += std::log(static_cast<double>(sums[t])) - static_cast<double>(targets[t]);
  *total += sum;
}

void cross_entropy_backward(const Stream& stream, View logits, View labels, std::int64_t vocab_begin, View row_max,
                            View sum_exp, float scale) {
  if constexpr (device::kCuda)
    if (stream.on_gpu())
      return cuda::cross_entropy_backward(stream, logits, labels, vocab_begin, row_max, sum_exp, scale);
  const Rows in = rows_of(logits, {"cross_entropy_backward", "logits"});
  const std::int32_t* label = ints_of(labels, in.rows, {"cross_entropy_backward", "labels"});
  const float* max = floats_of(row_max, in.rows, {"cross_entropy_backward", "row_max"});
  const float* sums = floats_of(sum_exp, in.rows, {"cross_entropy_backward", "sum_exp"});
#pragma omp parallel for schedule(static) if (worth_threads(in.rows * in.cols))
  for (std::int64_t t = 0; t < in.rows; ++t) {
    float* a = in[t];
    if (label[t] < 0) {
      std::fill_n(a, in.cols, 0.0f);
      continue;
    }
    const float m = max[t], factor = scale / sums[t];
#pragma omp simd
    for (std::int64_t i = 0; i < in.cols; ++i) a[i] = exp_f32(a[i] - m) * factor;
    const std::int64_t own = label[t] - vocab_begin;
    if (own >= 0 && own < in.cols) a[own] -= scale;
  }
}

}  // namespace eddy::kernels
