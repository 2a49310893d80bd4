// The CPU refuses an index outside its range. Here it is read as -1: seeing it on the host would need a wait.
#include <algorithm>

#include "kernels/common/cuda.cuh"
#include "kernels/permute/permute_cuda.h"

namespace eddy::kernels::cuda {
namespace {

constexpr int kThreads = 256;

int width_for(std::int64_t units, int most) {  // threads along a row; the block's others take more rows
  int width = 1;
  while (width < most && width < units) width *= 2;
  return width;
}

/// y[r] = x[rows[r]] in units of bytes, whatever they mean. A block has blockDim.y rows and kUnroll · blockDim.x units
/// of each. blockIdx.y counts the stretches of a row and varies slowest: rows read several times (a token's, once an
/// expert) come from the L2 cache then, which holds a stretch of all of x where it would not hold x.
template <int kUnroll, class Unit>
__global__ void __launch_bounds__(kThreads) gather(const Unit* __restrict__ x, std::int64_t x_stride,
                                                   std::int64_t x_rows, const std::int32_t* __restrict__ rows, Unit* y,
                                                   std::int64_t y_stride, std::int64_t y_rows, std::int64_t units) {
  const std::int64_t r = std::int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  const std::int64_t first = std::int64_t{blockIdx.y} * kUnroll * blockDim.x + threadIdx.x;
  if (r >= y_rows) return;
  const std::int64_t row = rows[r];
  const bool some = row >= 0 && row < x_rows;
  Unit value[kUnroll] = {};
#pragma unroll
  for (int u = 0; u < kUnroll; ++u) {
    const std::int64_t i = first + u * static_cast<int>(blockDim.x);
    if (some && i < units) value[u] = x[row * x_stride + i];
  }
#pragma unroll
  for (int u = 0; u < kUnroll; ++u) {
    const std::int64_t i = first + u * static_cast<int>(blockDim.x);
    if (i < units) __stcs(y + r * y_stride + i, value[u]);  // leaves the cache first: x should stay
  }
}

template <class Unit>
void gather_units(const Stream& stream, const View& x, const View& rows, const View& y) {
  const std::int64_t per = static_cast<std::int64_t>(sizeof(Unit) / size_of(x.dtype)), units = y.cols() / per;
  const int width = width_for(units, 32);
  const dim3 block(static_cast<unsigned>(width), static_cast<unsigned>(kThreads / width));
  const auto go = [&](auto unroll) {
    constexpr int kUnroll = decltype(unroll)::value;
    const dim3 grid(static_cast<unsigned>(ceil_div(y.rows(), block.y)),
                    static_cast<unsigned>(ceil_div(units, std::int64_t{width} * kUnroll)));
    gather<kUnroll><<<grid, block, 0, device::native(stream)>>>(static_cast<const Unit*>(x.data), x.row_stride / per,
                                                                x.rows(), rows.i32(), static_cast<Unit*>(y.data),
                                                                y.row_stride / per, y.rows(), units);
  };
  if (units > 32)
    go(std::integral_constant<int, 4>{});
  else
    go(std::integral_constant<int, 1>{});
  check_launch();
}

constexpr int kAhead = 8;  // rows a thread has in flight

/// y[t] = Σ_j weights[t, j] · x[slots[t, j]], in float32 and in the order of j; without kWeighted the weights are 1.
/// A thread has one pack of a row.
template <int N, bool kWeighted, class T>
__global__ void __launch_bounds__(kThreads, 2)
    combine(const T* __restrict__ x, std::int64_t x_stride, std::int64_t x_rows, const std::int32_t* __restrict__ slots,
            const float* __restrict__ weights, int choices, bool accumulate, T* y, std::int64_t y_stride,
            std::int64_t tokens, int packs, unsigned segments) {
  const std::int64_t t = std::int64_t{blockIdx.x / segments} * blockDim.y + threadIdx.y;
  const int i = static_cast<int>(blockIdx.x % segments * blockDim.x + threadIdx.x);
  if (t >= tokens || i >= packs) return;
  const std::int32_t* own_slots = slots + t * choices;
  const T* column = x + std::int64_t{i} * N;
  T* to = y + t * y_stride + std::int64_t{i} * N;
  float sum[N] = {};
  if (accumulate) {
    const auto old = load_pack<N>(to);
#pragma unroll
    for (int k = 0; k < N; ++k) sum[k] = to_float(old.v[k]);
  }
  for (int begin = 0; begin < choices; begin += kAhead) {
    int row[kAhead];  // -1: none
    float weight[kAhead];
    Pack<T, N> pack[kAhead];
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      const bool inside = begin + a < choices;
      row[a] = inside ? own_slots[begin + a] : -1;
      if (row[a] >= x_rows) row[a] = -1;
      weight[a] = kWeighted && inside ? weights[t * choices + begin + a] : 1.f;
    }
#pragma unroll
    for (int a = 0; a < kAhead; ++a)
      if (row[a] >= 0) pack[a] = load_pack<N>(column + row[a] * x_stride);
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      if (row[a] < 0) continue;
#pragma unroll
      for (int k = 0; k < N; ++k) sum[k] = fmaf(weight[a], to_float(pack[a].v[k]), sum[k]);
    }
  }
  store_pack(to, pack_of<T>(sum));
}

template <int N, class T>
void launch_combine(const Stream& stream, const View& x, const View& slots, const View& weights, bool accumulate,
                    const View& y) {
  const auto packs = static_cast<int>(y.cols() / N);
  const int width = width_for(packs, 128);
  const dim3 block(static_cast<unsigned>(width), static_cast<unsigned>(kThreads / width));
  const std::int64_t segments = ceil_div(packs, width);
  const auto grid = static_cast<unsigned>(segments * ceil_div(y.rows(), block.y));
  const auto go = [&](auto weighted) {
    combine<N, decltype(weighted)::value><<<grid, block, 0, device::native(stream)>>>(
        static_cast<const T*>(x.data), x.row_stride, x.rows(), slots.i32(), weights ? weights.f32() : nullptr,
        static_cast<int>(slots.cols()), accumulate, static_cast<T*>(y.data), y.row_stride, y.rows(), packs,
        static_cast<unsigned>(segments));
  };
  if (weights)
    go(std::true_type{});
  else
    go(std::false_type{});
  check_launch();
}

}  // namespace

void gather_rows(const Stream& stream, View x, View rows, View y) {
  const std::int64_t n = rows.numel();
  if (x.shape.rank() < 1) fail_run("gather_rows: 'x' has no axes");
  if (x.dtype != Dtype::f32 && x.dtype != Dtype::bf16) fail_run("gather_rows: no GPU kernel for {}", name_of(x.dtype));
  expect_rows(y, x.dtype, n, x.cols(), "gather_rows", "y");
  expect_vector(rows, Dtype::i32, n, "gather_rows", "rows");
  const auto read = static_cast<double>(std::min(x.rows(), n) * y.cols()) * static_cast<double>(size_of(x.dtype));
  const Span span(stream, "gather_rows", {read + static_cast<double>(y.bytes()), 0});
  if (y.numel() == 0) return;
  if (x.dtype == Dtype::f32 ? packs<float, 4>(x) && packs<float, 4>(y) : packs<bf16, 8>(x) && packs<bf16, 8>(y))
    gather_units<uint4>(stream, x, rows, y);
  else if (x.dtype == Dtype::f32)
    gather_units<unsigned>(stream, x, rows, y);
  else
    gather_units<unsigned short>(stream, x, rows, y);
}

void combine_rows(const Stream& stream, View x, View slots, View weights, bool accumulate, View y) {
  if (x.shape.rank() < 1 || slots.shape.rank() < 1 || y.shape.rank() < 1)
    fail_run("combine_rows: 'x' {}, 'slots' {} or 'y' {} has no axes", x.shape.text(), slots.shape.text(),
             y.shape.text());
  const std::int64_t k = slots.cols();
  expect_rows(y, x.dtype, slots.rows(), x.cols(), "combine_rows", "y");
  expect_vector(slots, Dtype::i32, y.rows() * k, "combine_rows", "slots");
  if (weights) expect_vector(weights, Dtype::f32, y.rows() * k, "combine_rows", "weights");
  const auto read = static_cast<double>(std::min(x.rows(), y.rows() * k) * y.cols());
  const Span span(stream, "combine_rows",
                  {read * static_cast<double>(size_of(x.dtype)) + static_cast<double>(y.bytes()) * (accumulate ? 2 : 1),
                   2 * static_cast<double>(y.numel() * k)});
  if (y.numel() == 0) return;
  with_type(x.dtype, "combine_rows", [&](auto t) {
    using T = decltype(t);
    constexpr int kPack = 16 / static_cast<int>(sizeof(T));
    if (packs<T, kPack>(x) && packs<T, kPack>(y))
      launch_combine<kPack, T>(stream, x, slots, weights, accumulate, y);
    else
      launch_combine<1, T>(stream, x, slots, weights, accumulate, y);
  });
}

}  // namespace eddy::kernels::cuda
