#include "kernels/cross_entropy/cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/common/checks.h"
#include "kernels/common/math.h"
#include "kernels/cross_entropy/cross_entropy_cuda.h"

namespace eddy::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// What is subtracted before exp: a maximum of -∞ is of logits that all count for nothing.
float base_of(float max) {
  return max == -kInfinity ? 0.0f : max;
}

/// The rows of statistics [3, tokens].
struct Statistics {
  float *max, *sum, *label;
  Statistics(View v, std::int64_t tokens, const char* op)
      : max(floats_of(v, 3 * tokens, {op, "statistics"})), sum(max + tokens), label(sum + tokens) {}
};

}  // namespace

void cross_entropy_statistics(const Stream& stream, View logits, View labels, std::int64_t vocab_begin,
                              View statistics) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::cross_entropy_statistics(stream, logits, labels, vocab_begin, statistics);
  const Rows in = rows_of(logits, {"cross_entropy_statistics", "logits"});
  const std::int32_t* label = ints_of(labels, in.rows, {"cross_entropy_statistics", "labels"});
  const Statistics out(statistics, in.rows, "cross_entropy_statistics");
#pragma omp parallel for schedule(static) if (worth_threads(in.rows * in.cols))
  for (std::int64_t t = 0; t < in.rows; ++t) {  // twice over a row, which the cache holds
    const float* a = in[t];
    float best = -kInfinity, sum = 0;
#pragma omp simd reduction(max : best)
    for (std::int64_t i = 0; i < in.cols; ++i) best = a[i] > best ? a[i] : best;
    const float base = base_of(best);
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < in.cols; ++i) sum += exp_f32(a[i] - base);
    const std::int64_t own = label[t] - vocab_begin;
    out.max[t] = best;
    out.sum[t] = sum;
    out.label[t] = label[t] >= 0 && own >= 0 && own < in.cols ? a[own] : 0.0f;
  }
}

void cross_entropy_join(const Stream& stream, View parts, View statistics) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::cross_entropy_join(stream, parts, statistics);
  const std::int64_t ranks = parts.rows(), tokens = statistics.cols();
  const float* in = floats_of(parts, ranks * 3 * tokens, {"cross_entropy_join", "parts"});
  const Statistics out(statistics, tokens, "cross_entropy_join");
  for (std::int64_t t = 0; t < tokens; ++t) {
    float best = -kInfinity, sum = 0, label = 0;
    for (std::int64_t r = 0; r < ranks; ++r) best = std::max(best, in[r * 3 * tokens + t]);
    for (std::int64_t r = 0; r < ranks; ++r) {
      const float* part = in + r * 3 * tokens + t;
      sum += part[tokens] * exp_f32(part[0] - base_of(best));
      label += part[2 * tokens];
    }
    out.max[t] = best;
    out.sum[t] = sum;
    out.label[t] = label;
  }
}

void cross_entropy_loss(const Stream& stream, View labels, View statistics, View loss) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::cross_entropy_loss(stream, labels, statistics, loss);
  const std::int64_t tokens = labels.numel();
  const std::int32_t* label = ints_of(labels, tokens, {"cross_entropy_loss", "labels"});
  const Statistics in(statistics, tokens, "cross_entropy_loss");
  double* total = doubles_of(loss, 1, {"cross_entropy_loss", "loss"});
  double sum = 0;
  for (std::int64_t t = 0; t < tokens; ++t)
    if (label[t] >= 0)
      sum += std::log(static_cast<double>(in.sum[t])) +
             (static_cast<double>(in.max[t]) - static_cast<double>(in.label[t]));
  *total += sum;
}

void cross_entropy_backward(const Stream& stream, View logits, View labels, std::int64_t vocab_begin, View statistics,
                            float scale) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::cross_entropy_backward(stream, logits, labels, vocab_begin, statistics, scale);
  const Rows in = rows_of(logits, {"cross_entropy_backward", "logits"});
  const std::int32_t* label = ints_of(labels, in.rows, {"cross_entropy_backward", "labels"});
  const Statistics whole(statistics, in.rows, "cross_entropy_backward");
#pragma omp parallel for schedule(static) if (worth_threads(in.rows * in.cols))
  for (std::int64_t t = 0; t < in.rows; ++t) {
    float* a = in[t];
    if (label[t] < 0) {
      std::fill_n(a, in.cols, 0.0f);
      continue;
    }
    const float m = whole.max[t], factor = scale / whole.sum[t];
#pragma omp simd
    for (std::int64_t i = 0; i < in.cols; ++i) a[i] = exp_f32(a[i] - m) * factor;
    const std::int64_t own = label[t] - vocab_begin;
    if (own >= 0 && own < in.cols) a[own] -= scale;
  }
}

}  // namespace eddy::kernels
