#include <algorithm>

#include "kernels/common/cuda.cuh"
#include "kernels/reduce/reduce_cuda.h"

namespace eddy::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kUnroll = 4;              // packs that a thread has in flight
constexpr std::int64_t kBlocks = 1024;  // at most: a constant, so that the sum's order is the same on every GPU

/// Sum over the block of kThreads threads, on the first, in a fixed order.
__device__ double block_sum_f64(double v) {
  __shared__ double warps[kThreads / 32];
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) v += __shfl_xor_sync(0xffffffffu, v, offset);
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = v;
  __syncthreads();
  double sum = 0;
#pragma unroll
  for (int w = 0; w < kThreads / 32; ++w) sum += warps[w];
  return sum;
}

__device__ inline double square(float v) {
  return static_cast<double>(v) * static_cast<double>(v);
}

/// Each block's sum of x² in partial [gridDim.x], or, of a single block, added to sum. The packs begin at x + head,
/// which is aligned; what lies before and behind them is the first block's.
__global__ void __launch_bounds__(kThreads)
    squares(const float* x, std::int64_t head, std::int64_t packs, std::int64_t n, double* partial, double* sum) {
  const float* aligned = x + head;
  const std::int64_t step = std::int64_t{gridDim.x} * kThreads;
  double sums[kUnroll] = {};  // additions need not wait for each other
  std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  for (; i + (kUnroll - 1) * step < packs; i += kUnroll * step) {
    Pack<float, 4> v[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) v[u] = load_pack<4>(aligned + (i + u * step) * 4);
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
#pragma unroll
      for (int k = 0; k < 4; ++k) sums[u] += square(v[u].v[k]);
    }
  }
  for (; i < packs; i += step) {
    const Pack<float, 4> v = load_pack<4>(aligned + i * 4);
#pragma unroll
    for (int k = 0; k < 4; ++k) sums[0] += square(v.v[k]);
  }
  if (blockIdx.x == 0) {
    if (threadIdx.x < head) sums[1] += square(x[threadIdx.x]);
    const std::int64_t behind = head + packs * 4 + threadIdx.x;
    if (behind < n) sums[2] += square(x[behind]);
  }
  const double total = block_sum_f64((sums[0] + sums[1]) + (sums[2] + sums[3]));
  if (threadIdx.x != 0) return;
  if (gridDim.x == 1)
    *sum += total;
  else
    partial[blockIdx.x] = total;
}

__global__ void __launch_bounds__(kThreads) add_partials(const double* partial, std::int64_t count, double* sum) {
  double s = 0;
  for (std::int64_t i = threadIdx.x; i < count; i += kThreads) s += partial[i];
  const double total = block_sum_f64(s);
  if (threadIdx.x == 0) *sum += total;
}

}  // namespace

void sum_of_squares(const Stream& stream, View x, View sum) {
  const std::int64_t n = x.numel();
  expect_vector(x, Dtype::f32, n, "sum_of_squares", "x");
  expect_vector(sum, Dtype::f64, 1, "sum_of_squares", "sum");
  const Span span(stream, "sum_of_squares", {4.0 * static_cast<double>(n), 2.0 * static_cast<double>(n)});
  if (n == 0) return;
  const auto* data = static_cast<const float*>(x.data);
  auto* total = static_cast<double*>(sum.data);
  const auto past = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(data) % 16 / sizeof(float));
  const std::int64_t head = std::min(n, (4 - past) % 4), packs = (n - head) / 4;
  const std::int64_t blocks = std::clamp<std::int64_t>(ceil_div(packs, kThreads * kUnroll), 1, kBlocks);
  const Scratch partial(stream, blocks > 1 ? static_cast<std::size_t>(blocks) * sizeof(double) : 0);
  squares<<<static_cast<unsigned>(blocks), kThreads, 0, device::native(stream)>>>(data, head, packs, n,
                                                                                  partial.as<double>(), total);
  check_launch();
  if (blocks == 1) return;
  add_partials<<<1, kThreads, 0, device::native(stream)>>>(partial.as<double>(), blocks, total);
  check_launch();
}

}  // namespace eddy::kernels::cuda
