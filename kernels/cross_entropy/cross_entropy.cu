#include <algorithm>

#include "kernels/common/cuda.cuh"
#include "kernels/cross_entropy/cross_entropy_cuda.h"

namespace eddy::kernels::cuda {
namespace {

constexpr int kUnroll = 4;  // packs a thread has in flight

/// exp(v - max); logits whose maximum is -∞ all count for nothing. Of what lies up to 16 below the maximum within 2e-6
/// of itself, further below in what it adds to a sum.
__device__ inline float below(float v, float max) {
  return __expf(v - (max == -INFINITY ? 0.f : max));
}

/// What was seen of a row: its maximum, and Σ exp(v - maximum). NaN is passed over by the maximum, as on the CPU: it
/// shows in the sum.
struct Seen {
  float max = -INFINITY, sum = 0;
};
/// Of all lanes together, on each of them.
__device__ inline Seen warp_join(Seen own) {
  const float max = warp_max(own.max);
  return {max, warp_sum(own.sum * below(own.max, max))};
}

/// The greatest of a pack; NaN is passed over. bf16 are compared two at a time, so that their floats need not be kept.
template <int N, class T>
__device__ inline float pack_max(const Pack<T, N>& pack) {
  if constexpr (std::is_same_v<T, bf16> && N == 8) {
    const auto words = __builtin_bit_cast(uint4, pack);
    const auto pair = [](unsigned word) { return *reinterpret_cast<const __nv_bfloat162*>(&word); };
    const __nv_bfloat162 best = __hmax2(__hmax2(pair(words.x), pair(words.y)), __hmax2(pair(words.z), pair(words.w)));
    return fmaxf(__low2float(best), __high2float(best));
  } else {
    float best = -INFINITY;
#pragma unroll
    for (int k = 0; k < N; ++k) best = fmaxf(best, to_float(pack.v[k]));
    return best;
  }
}

/// A block a row, read once (Milakov & Gimelshein 2018, algorithm 3, kUnroll packs at a time).
template <int N, class T>
__global__ void __launch_bounds__(512, 4)  // blocks that keep memory busy
    take_statistics(const T* __restrict__ logits, std::int64_t stride, int packs, const std::int32_t* labels,
                    std::int64_t vocab_begin, float* statistics) {
  __shared__ float max_of_warp[16], sum_of_warp[16];
  const unsigned r = blockIdx.x, rows = gridDim.x;
  const T* row = logits + std::int64_t{r} * stride;
  float at_label = 0;
  if (threadIdx.x == 0) {
    const std::int32_t label = labels[r];
    const std::int64_t own = label - vocab_begin;
    if (label >= 0 && own >= 0 && own < std::int64_t{packs} * N) at_label = to_float(row[own]);
  }
  Seen seen;
  const int width = static_cast<int>(blockDim.x);
  for (int i = static_cast<int>(threadIdx.x); i < packs; i += kUnroll * width) {
    Pack<T, N> x[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u)
      if (i + u * width < packs) x[u] = load_pack<N>(row + std::int64_t{i + u * width} * N);
    float max = seen.max;
#pragma unroll
    for (int u = 0; u < kUnroll; ++u)
      if (i + u * width < packs) max = fmaxf(max, pack_max(x[u]));
    float sums[kUnroll] = {};
#pragma unroll
    for (int u = 0; u < kUnroll; ++u)
      if (i + u * width < packs) {
        float v[N];
        to_floats(x[u], v);
#pragma unroll
        for (int k = 0; k < N; ++k) sums[u] += below(v[k], max);
      }
    seen = {max, seen.sum * below(seen.max, max) + ((sums[0] + sums[1]) + (sums[2] + sums[3]))};
  }
  seen = warp_join(seen);
  if (threadIdx.x % 32 == 0) {
    max_of_warp[threadIdx.x / 32] = seen.max;
    sum_of_warp[threadIdx.x / 32] = seen.sum;
  }
  __syncthreads();
  if (threadIdx.x >= 32) return;
  const bool warp = threadIdx.x < blockDim.x / 32;
  seen = warp_join({warp ? max_of_warp[threadIdx.x] : -INFINITY, warp ? sum_of_warp[threadIdx.x] : 0.f});
  if (threadIdx.x > 0) return;
  statistics[r] = seen.max;
  statistics[rows + r] = seen.sum;
  statistics[2 * rows + r] = at_label;
}

constexpr int kJoinThreads = 128;

/// A thread a token.
__global__ void __launch_bounds__(kJoinThreads)
    join_parts(const float* parts, int ranks, std::int64_t tokens, float* statistics) {
  const std::int64_t t = std::int64_t{blockIdx.x} * kJoinThreads + threadIdx.x;
  if (t >= tokens) return;
  float max = -INFINITY, sum = 0, label = 0;
  for (int p = 0; p < ranks; ++p) max = fmaxf(max, parts[p * 3 * tokens + t]);
  for (int p = 0; p < ranks; ++p) {
    const float* part = parts + p * 3 * tokens + t;
    sum += part[tokens] * below(part[0], max);
    label += part[2 * tokens];
  }
  statistics[t] = max;
  statistics[tokens + t] = sum;
  statistics[2 * tokens + t] = label;
}

constexpr int kLossThreads = 1024;

/// One block: each thread its share in order, then a tree.
__global__ void __launch_bounds__(kLossThreads)
    sum_losses(const std::int32_t* labels, const float* statistics, std::int64_t tokens, double* loss) {
  __shared__ double part[kLossThreads];
  double sum = 0;
  for (std::int64_t t = threadIdx.x; t < tokens; t += kLossThreads)
    if (labels[t] >= 0)
      sum += log(static_cast<double>(statistics[tokens + t])) +
             (static_cast<double>(statistics[t]) - static_cast<double>(statistics[2 * tokens + t]));
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
                std::int64_t vocab_begin, const float* statistics, std::int64_t rows, float scale) {
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
    const float max = statistics[r], factor = scale / statistics[rows + r];
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

/// statistics [3, tokens]
float* statistics_of(const View& view, std::int64_t tokens, const char* op) {
  expect_vector(view, Dtype::f32, 3 * tokens, op, "statistics");
  return view.f32();
}

}  // namespace

void cross_entropy_statistics(const Stream& stream, View logits, View labels, std::int64_t vocab_begin,
                              View statistics) {
  constexpr const char* kOp = "cross_entropy_statistics";
  with_pack(logits, kOp, [&](auto t, auto n) {
    using T = decltype(t);
    constexpr int kPack = decltype(n)::value;
    const std::int64_t rows = logits.rows();
    expect_vector(labels, Dtype::i32, rows, kOp, "labels");
    float* out = statistics_of(statistics, rows, kOp);
    const Span span(stream, kOp, {static_cast<double>(logits.bytes()), 4 * static_cast<double>(logits.numel())});
    if (rows == 0) return;
    const auto packs = static_cast<int>(logits.cols() / kPack);
    take_statistics<kPack><<<static_cast<unsigned>(rows), threads_for(packs), 0, device::native(stream)>>>(
        static_cast<const T*>(logits.data), logits.row_stride, packs, labels.i32(), vocab_begin, out);
    check_launch();
  });
}

void cross_entropy_join(const Stream& stream, View parts, View statistics) {
  constexpr const char* kOp = "cross_entropy_join";
  if (parts.shape.rank() < 1 || statistics.shape.rank() != 2)
    fail_run("{}: parts {}, statistics {}", kOp, parts.shape.text(), statistics.shape.text());
  const std::int64_t ranks = parts.rows(), tokens = statistics.cols();
  expect_vector(parts, Dtype::f32, ranks * 3 * tokens, kOp, "parts");
  float* out = statistics_of(statistics, tokens, kOp);
  const Span span(stream, kOp, {static_cast<double>(parts.bytes() + statistics.bytes()), 0});
  if (tokens == 0) return;
  join_parts<<<static_cast<unsigned>(ceil_div(tokens, kJoinThreads)), kJoinThreads, 0, device::native(stream)>>>(
      parts.f32(), static_cast<int>(ranks), tokens, out);
  check_launch();
}

void cross_entropy_loss(const Stream& stream, View labels, View statistics, View loss) {
  if (labels.shape.rank() < 1) fail_run("cross_entropy_loss: 'labels' has no axes");
  const std::int64_t tokens = labels.numel();
  expect_vector(labels, Dtype::i32, tokens, "cross_entropy_loss", "labels");
  const float* in = statistics_of(statistics, tokens, "cross_entropy_loss");
  expect_vector(loss, Dtype::f64, 1, "cross_entropy_loss", "loss");
  const Span span(stream, "cross_entropy_loss", {16.0 * static_cast<double>(tokens), 0});
  if (tokens == 0) return;
  sum_losses<<<1, kLossThreads, 0, device::native(stream)>>>(labels.i32(), in, tokens, loss.as<double>());
  check_launch();
}

void cross_entropy_backward(const Stream& stream, View logits, View labels, std::int64_t vocab_begin, View statistics,
                            float scale) {
  with_pack(logits, "cross_entropy_backward", [&](auto t, auto n) {
    using T = decltype(t);
    constexpr int kPack = decltype(n)::value;
    const std::int64_t rows = logits.rows();
    expect_vector(labels, Dtype::i32, rows, "cross_entropy_backward", "labels");
    const float* whole = statistics_of(statistics, rows, "cross_entropy_backward");
    const Span span(stream, "cross_entropy_backward",
                    {2 * static_cast<double>(logits.bytes()), 3 * static_cast<double>(logits.numel())});
    if (logits.numel() == 0) return;
    const auto packs = static_cast<int>(logits.cols() / kPack);
    const std::int64_t segments = ceil_div(packs, kUnroll * kBackwardThreads), blocks = segments * rows;
    if (blocks > INT32_MAX)
      fail_run("cross_entropy_backward: logits {} are too many for one call on a GPU", logits.shape.text());
    to_gradient<kPack><<<static_cast<unsigned>(blocks), kBackwardThreads, 0, device::native(stream)>>>(
        static_cast<T*>(logits.data), logits.row_stride, packs, static_cast<unsigned>(segments), labels.i32(),
        vocab_begin, whole, rows, scale);
    check_launch();
  });
}

}  // namespace eddy::kernels::cuda
