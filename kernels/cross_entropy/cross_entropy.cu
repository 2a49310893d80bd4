#include <algorithm>

#include "kernels/common/cuda.cuh"
#include "kernels/cross_entropy/cross_entropy_cuda.h"

namespace eddy::kernels::cuda {
namespace {

constexpr int kUnroll = 4;  // packs a thread has in flight

/// Calls f(value) for this thread's share of the row's elements, always the same ones in the same order.
template <int N, class T, class F>
__device__ void for_each(const T* __restrict__ row, int packs, F f) {
  for (int i = static_cast<int>(threadIdx.x); i < packs; i += kUnroll * static_cast<int>(blockDim.x)) {
    Pack<T, N> x[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      const int at = i + u * static_cast<int>(blockDim.x);
      if (at < packs) x[u] = load_pack<N>(row + std::int64_t{at} * N);
    }
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      if (i + u * static_cast<int>(blockDim.x) >= packs) break;
#pragma unroll
      for (int k = 0; k < N; ++k) f(to_float(x[u].v[k]));
    }
  }
}

/// A block a row. NaN is passed over, as on the CPU: it shows in the sums.
template <int N, class T>
__global__ void __launch_bounds__(512) find_max(const T* logits, std::int64_t stride, int packs, float* row_max) {
  __shared__ float of_warp[32];
  float best = -INFINITY;
  for_each<N>(logits + std::int64_t{blockIdx.x} * stride, packs, [&](float v) { best = fmaxf(best, v); });
  best = warp_max(best);
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = best;
  __syncthreads();
  if (threadIdx.x >= 32) return;
  best = warp_max(threadIdx.x < blockDim.x / 32 ? of_warp[threadIdx.x] : -INFINITY);
  if (threadIdx.x == 0) row_max[blockIdx.x] = best;
}

/// A block a row.
template <int N, class T>
__global__ void __launch_bounds__(512)
    add_up(const T* logits, std::int64_t stride, int packs, const std::int32_t* labels, std::int64_t vocab_begin,
           const float* row_max, float* sum_exp, float* target) {
  __shared__ float shared[33];
  const T* row = logits + std::int64_t{blockIdx.x} * stride;
  const float max = row_max[blockIdx.x];
  float sum = 0;
  for_each<N>(row, packs, [&](float v) { sum += expf(v - max); });
  sum = block_sum(sum, shared);
  if (threadIdx.x > 0) return;
  const std::int32_t label = labels[blockIdx.x];
  const std::int64_t own = label - vocab_begin;
  sum_exp[blockIdx.x] = sum;
  target[blockIdx.x] = label >= 0 && own >= 0 && own < std::int64_t{packs} * N ? to_float(row[own]) - max : 0.f;
}

constexpr int kLossThreads = 1024;

/// One block: each thread its share in order, then a tree.
__global__ void __launch_bounds__(kLossThreads) sum_losses(const std::int32_t* labels, const float* sum_exp,
                                                           const float* target, std::int64_t tokens, double* loss) {
  __shared__ double part[kLossThreads];
  double sum = 0;
  for (std::int64_t t = threadIdx.x; t < tokens; t += kLossThreads)
    if (labels[t] >= 0) sum += log(static_cast<double>(sum_exp[t])) - static_cast<double>(target[t]);
  part[threadIdx.x] = sum;
  for (unsigned half = kLossThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
  }
  if (threadIdx.x == 0) *loss += part[0];
}

constexpr int kBackwardThreads = 256;

/// A block has kUnroll · kBackwardThreads packs of one row.
template <int N, class T>
__global__ void __launch_bounds__(kBackwardThreads)
    to_gradient(T* logits, std::int64_t stride, int packs, unsigned segments, const std::int32_t* labels,
                std::int64_t vocab_begin, const float* row_max, const float* sum_exp, float scale) {
  const unsigned r = blockIdx.x / segments;
  const int first = static_cast<int>(blockIdx.x % segments * kUnroll * kBackwardThreads + threadIdx.x);
  T* row = logits + std::int64_t{r} * stride;
  const std::int32_t label = labels[r];
  Pack<T, N> x[kUnroll] = {};
  if (label >= 0) {
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      const int i = first + u * kBackwardThreads;
      if (i < packs) x[u] = load_pack<N>(row + std::int64_t{i} * N);
    }
    const float max = row_max[r], factor = scale / sum_exp[r];
    const std::int64_t own = label - vocab_begin;
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      const std::int64_t in_pack = own - std::int64_t{first + u * kBackwardThreads} * N;
      float out[N];
#pragma unroll
      for (int k = 0; k < N; ++k) {
        out[k] = expf(to_float(x[u].v[k]) - max) * factor;
        if (in_pack == k) out[k] -= scale;  // before the rounding
      }
      x[u] = pack_of<T>(out);
    }
  }
#pragma unroll
  for (int u = 0; u < kUnroll; ++u) {
    const int i = first + u * kBackwardThreads;
    if (i < packs) store_pack(row + std::int64_t{i} * N, x[u]);
  }
}

/// Calls f(T{}, N) with logits' type and the elements at a time that its rows allow.
template <class F>
void with_pack(const View& logits, const char* op, F f) {
  constexpr std::int64_t kMost = std::int64_t{1} << 30;
  if (logits.shape.rank() < 1 || logits.rows() > kMost || logits.cols() > kMost)
    fail_run("{}: 'logits' has shape {}, which GPU kernels cannot count", op, logits.shape.text());
  with_type(logits.dtype, op, [&](auto t) {
    using T = decltype(t);
    constexpr int kPack = 16 / static_cast<int>(sizeof(T));
    if (packs<T, kPack>(logits))
      f(t, std::integral_constant<int, kPack>{});
    else
      f(t, std::integral_constant<int, 1>{});
  });
}

unsigned threads_for(int packs) {  // of a block that has a row to itself
  unsigned threads = 32;
  while (threads < 512 && threads * kUnroll < static_cast<unsigned>(packs)) threads *= 2;
  return threads;
}

}  // namespace

void cross_entropy_max(const Stream& stream, View logits, View row_max) {
  with_pack(logits, "cross_entropy_max", [&](auto t, auto n) {
    using T = decltype(t);
    constexpr int kPack = decltype(n)::value;
    expect_vector(row_max, Dtype::f32, logits.rows(), "cross_entropy_max", "row_max");
    const Span span(stream, "cross_entropy_max", {static_cast<double>(logits.bytes()), 0});
    if (logits.rows() == 0) return;
    const auto packs = static_cast<int>(logits.cols() / kPack);
    find_max<kPack><<<static_cast<unsigned>(logits.rows()), threads_for(packs), 0, device::native(stream)>>>(
        static_cast<const T*>(logits.data), logits.row_stride, packs, row_max.f32());
    check_launch();
  });
}

void cross_entropy_sums(const Stream& stream, View logits, View labels, std::int64_t vocab_begin, View row_max,
                        View sum_exp, View target) {
  with_pack(logits, "cross_entropy_sums", [&](auto t, auto n) {
    using T = decltype(t);
    constexpr int kPack = decltype(n)::value;
    const std::int64_t rows = logits.rows();
    expect_vector(labels, Dtype::i32, rows, "cross_entropy_sums", "labels");
    expect_vector(row_max, Dtype::f32, rows, "cross_entropy_sums", "row_max");
    expect_vector(sum_exp, Dtype::f32, rows, "cross_entropy_sums", "sum_exp");
    expect_vector(target, Dtype::f32, rows, "cross_entropy_sums", "target");
    const Span span(stream, "cross_entropy_sums",
                    {static_cast<double>(logits.bytes()), 3 * static_cast<double>(logits.numel())});
    if (rows == 0) return;
    const auto packs = static_cast<int>(logits.cols() / kPack);
    add_up<kPack><<<static_cast<unsigned>(rows), threads_for(packs), 0, device::native(stream)>>>(
        static_cast<const T*>(logits.data), logits.row_stride, packs, labels.i32(), vocab_begin, row_max.f32(),
        sum_exp.f32(), target.f32());
    check_launch();
  });
}

void cross_entropy_loss(const Stream& stream, View labels, View sum_exp, View target, View loss) {
  if (labels.shape.rank() < 1) fail_run("cross_entropy_loss: 'labels' has no axes");
  const std::int64_t tokens = labels.numel();
  expect_vector(labels, Dtype::i32, tokens, "cross_entropy_loss", "labels");
  expect_vector(sum_exp, Dtype::f32, tokens, "cross_entropy_loss", "sum_exp");
  expect_vector(target, Dtype::f32, tokens, "cross_entropy_loss", "target");
  expect_vector(loss, Dtype::f64, 1, "cross_entropy_loss", "loss");
  const Span span(stream, "cross_entropy_loss", {12.0 * static_cast<double>(tokens), 0});
  if (tokens == 0) return;
  sum_losses<<<1, kLossThreads, 0, device::native(stream)>>>(labels.i32(), sum_exp.f32(), target.f32(), tokens,
                                                             loss.as<double>());
  check_launch();
}

void cross_entropy_backward(const Stream& stream, View logits, View labels, std::int64_t vocab_begin, View row_max,
                            View sum_exp, float scale) {
  with_pack(logits, "cross_entropy_backward", [&](auto t, auto n) {
    using T = decltype(t);
    constexpr int kPack = decltype(n)::value;
    const std::int64_t rows = logits.rows();
    expect_vector(labels, Dtype::i32, rows, "cross_entropy_backward", "labels");
    expect_vector(row_max, Dtype::f32, rows, "cross_entropy_backward", "row_max");
    expect_vector(sum_exp, Dtype::f32, rows, "cross_entropy_backward", "sum_exp");
    const Span span(stream, "cross_entropy_backward",
                    {2 * static_cast<double>(logits.bytes()), 3 * static_cast<double>(logits.numel())});
    if (logits.numel() == 0) return;
    const auto packs = static_cast<int>(logits.cols() / kPack);
    const std::int64_t segments = ceil_div(packs, kUnroll * kBackwardThreads), blocks = segments * rows;
    if (blocks > INT32_MAX)
      fail_run("cross_entropy_backward: logits {} are too many for one call on a GPU", logits.shape.text());
    to_gradient<kPack><<<static_cast<unsigned>(blocks), kBackwardThreads, 0, device::native(stream)>>>(
        static_cast<T*>(logits.data), logits.row_stride, packs, static_cast<unsigned>(segments), labels.i32(),
        vocab_begin, row_max.f32(), sum_exp.f32(), scale);
    check_launch();
  });
}

}  // namespace eddy::kernels::cuda
