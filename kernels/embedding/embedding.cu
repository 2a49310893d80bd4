#include <algorithm>
#include <bit>
#include <cub/device/device_radix_sort.cuh>

#include "kernels/common/cuda.cuh"
#include "kernels/embedding/embedding_cuda.h"

namespace eddy::kernels::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;

/// y[t] = table[ids[t] - vocab_begin]. A block has `blockDim.y` tokens and kUnroll · blockDim.x packs of their rows.
template <int kUnroll, int N, class A, class B>
__global__ void __launch_bounds__(kThreads)
    look_up(const A* __restrict__ table, std::int64_t table_stride, std::int64_t vocab, const std::int32_t* ids,
            std::int64_t vocab_begin, B* y, std::int64_t y_stride, std::int64_t tokens, int packs, unsigned segments) {
  const std::int64_t t = std::int64_t{blockIdx.x / segments} * blockDim.y + threadIdx.y;
  const int first = static_cast<int>(blockIdx.x % segments * kUnroll * blockDim.x + threadIdx.x);
  if (t >= tokens) return;
  const std::int32_t id = ids[t];
  const std::int64_t row = id - vocab_begin;
  const bool here = id >= 0 && row >= 0 && row < vocab;
  Pack<A, N> x[kUnroll] = {};  // of zeros where the id is elsewhere
#pragma unroll
  for (int u = 0; u < kUnroll; ++u) {
    const int i = first + u * static_cast<int>(blockDim.x);
    if (here && i < packs) x[u] = load_pack<N>(table + row * table_stride + std::int64_t{i} * N);
  }
#pragma unroll
  for (int u = 0; u < kUnroll; ++u) {
    const int i = first + u * static_cast<int>(blockDim.x);
    if (i >= packs) continue;
    Pack<B, N> out;
    if constexpr (std::is_same_v<A, B>) {
      out = x[u];
    } else {
#pragma unroll
      for (int k = 0; k < N; ++k) out.v[k] = from_float<B>(to_float(x[u].v[k]));
    }
    store_pack(y + t * y_stride + std::int64_t{i} * N, out);
  }
}

template <int N, class A, class B>
void launch_look_up(const Stream& stream, const View& table, const View& ids, std::int64_t vocab_begin, const View& y) {
  const auto packs = static_cast<int>(y.cols() / N);
  int width = 1;  // threads along a row
  while (width < 32 && width < packs) width *= 2;
  const dim3 block(static_cast<unsigned>(width), static_cast<unsigned>(kThreads / width));
  const auto go = [&](auto unroll) {
    constexpr int kUnroll = decltype(unroll)::value;
    const std::int64_t segments = ceil_div(packs, width * kUnroll);
    const auto grid = static_cast<unsigned>(segments * ceil_div(y.rows(), block.y));
    look_up<kUnroll, N><<<grid, block, 0, device::native(stream)>>>(
        static_cast<const A*>(table.data), table.row_stride, table.rows(), ids.i32(), vocab_begin,
        static_cast<B*>(y.data), y.row_stride, y.rows(), packs, static_cast<unsigned>(segments));
  };
  if (packs > 32)
    go(std::integral_constant<int, 4>{});
  else
    go(std::integral_constant<int, 1>{});
  check_launch();
}

/// What is sorted: each token under its row of the table, under `vocab` where it has none here.
__global__ void __launch_bounds__(kThreads) make_keys(const std::int32_t* ids, std::int64_t vocab_begin,
                                                      std::int64_t vocab, int n, unsigned* keys, std::int32_t* tokens) {
  const int t = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (t >= n) return;
  const std::int64_t row = ids[t] - vocab_begin;
  keys[t] = static_cast<unsigned>(ids[t] >= 0 && row >= 0 && row < vocab ? row : vocab);
  tokens[t] = t;
}

constexpr int kRunUnroll = 2;  // packs of a row a thread owns in add_runs
constexpr int kAhead = 4;      // tokens it has in flight

/// dtable[key] += Σ dy[t] over the run of equal keys that begins at a warp's place, in order; a warp whose place begins
/// no run has nothing to do. Each element of dtable has one owner.
template <int N, class T>
__global__ void __launch_bounds__(kThreads)
    add_runs(const T* __restrict__ dy, std::int64_t dy_stride, const unsigned* __restrict__ keys,
             const std::int32_t* __restrict__ tokens, int n, unsigned vocab, float* dtable, std::int64_t stride,
             int packs, unsigned segments) {
  const int lane = threadIdx.x % 32;
  const int place = static_cast<int>(blockIdx.x / segments * kWarps + threadIdx.x / 32);
  const int first = static_cast<int>(blockIdx.x % segments) * kRunUnroll * 32 + lane;
  if (place >= n) return;
  const unsigned key = keys[place];
  if (key >= vocab || (place > 0 && keys[place - 1] == key)) return;
  float* to = dtable + std::int64_t{key} * stride;
  Pack<float, N> sum[kRunUnroll];
#pragma unroll
  for (int u = 0; u < kRunUnroll; ++u)
    if (first + u * 32 < packs) sum[u] = load_pack<N>(to + std::int64_t{first + u * 32} * N);
  for (int base = place;; base += 32) {
    const bool inside = lane < n - base;
    const unsigned own = inside ? keys[base + lane] : vocab;
    const std::int32_t token = inside ? tokens[base + lane] : 0;
    const int count = __popc(__ballot_sync(0xffffffffu, own == key));  // the run's are the first lanes: keys are sorted
    for (int i = 0; i < count; i += kAhead) {
      Pack<T, N> x[kAhead][kRunUnroll];
#pragma unroll
      for (int a = 0; a < kAhead; ++a) {
        const std::int64_t row = __shfl_sync(0xffffffffu, token, i + a);
#pragma unroll
        for (int u = 0; u < kRunUnroll; ++u)
          if (i + a < count && first + u * 32 < packs)
            x[a][u] = load_pack<N>(dy + row * dy_stride + std::int64_t{first + u * 32} * N);
      }
#pragma unroll
      for (int a = 0; a < kAhead; ++a) {
        if (i + a >= count) break;
#pragma unroll
        for (int u = 0; u < kRunUnroll; ++u)
          if (first + u * 32 < packs) {
#pragma unroll
            for (int k = 0; k < N; ++k) sum[u].v[k] += to_float(x[a][u].v[k]);
          }
      }
    }
    if (count < 32 || base >= n - 32) break;
  }
#pragma unroll
  for (int u = 0; u < kRunUnroll; ++u)
    if (first + u * 32 < packs) store_pack(to + std::int64_t{first + u * 32} * N, sum[u]);
}

template <int N, class T>
void launch_add_runs(const Stream& stream, const View& dy, const unsigned* keys, const std::int32_t* tokens,
                     const View& dtable) {
  const auto packs = static_cast<int>(dy.cols() / N);
  const std::int64_t segments = ceil_div(packs, 32 * kRunUnroll);
  const auto grid = static_cast<unsigned>(segments * ceil_div(dy.rows(), kWarps));
  add_runs<N><<<grid, kThreads, 0, device::native(stream)>>>(
      static_cast<const T*>(dy.data), dy.row_stride, keys, tokens, static_cast<int>(dy.rows()),
      static_cast<unsigned>(dtable.rows()), dtable.f32(), dtable.row_stride, packs, static_cast<unsigned>(segments));
  check_launch();
}

void check_sizes(const View& table, const View& rows, const char* op) {
  constexpr std::int64_t kMost = std::int64_t{1} << 30;
  if (table.rows() > kMost || rows.rows() > kMost || table.cols() > kMost)
    fail_run("{}: more rows than GPU kernels count: table {}, tokens {}", op, table.shape.text(), rows.shape.text());
}

}  // namespace

void embedding(const Stream& stream, View table, View ids, std::int64_t vocab_begin, View y) {
  const std::int64_t tokens = ids.numel();
  if (table.shape.rank() < 1) fail_run("embedding: 'table' has no axes");
  expect_rows(y, y.dtype, tokens, table.cols(), "embedding", "y");
  expect_vector(ids, Dtype::i32, tokens, "embedding", "ids");
  check_sizes(table, y, "embedding");
  const Span span(stream, "embedding",
                  {static_cast<double>(y.numel()) * static_cast<double>(size_of(table.dtype) + size_of(y.dtype)), 0});
  if (y.numel() == 0) return;
  with_type(table.dtype, "embedding", [&](auto a) {
    with_type(y.dtype, "embedding", [&](auto b) {
      using A = decltype(a);
      using B = decltype(b);
      constexpr int kPack = 16 / static_cast<int>(std::max(sizeof(A), sizeof(B)));
      if (packs<A, kPack>(table) && packs<B, kPack>(y))
        launch_look_up<kPack, A, B>(stream, table, ids, vocab_begin, y);
      else
        launch_look_up<1, A, B>(stream, table, ids, vocab_begin, y);
    });
  });
}

void embedding_backward(const Stream& stream, View dy, View ids, std::int64_t vocab_begin, View dtable) {
  const std::int64_t tokens = ids.numel();
  if (dtable.shape.rank() < 1) fail_run("embedding_backward: 'dtable' has no axes");
  expect_rows(dtable, Dtype::f32, dtable.rows(), dtable.cols(), "embedding_backward", "dtable");
  expect_rows(dy, dy.dtype, tokens, dtable.cols(), "embedding_backward", "dy");
  expect_vector(ids, Dtype::i32, tokens, "embedding_backward", "ids");
  check_sizes(dtable, dy, "embedding_backward");
  const Span span(
      stream, "embedding_backward",
      {static_cast<double>(dy.numel()) * static_cast<double>(size_of(dy.dtype) + 8), static_cast<double>(dy.numel())});
  if (dy.numel() == 0 || dtable.rows() == 0) return;
  const auto n = static_cast<int>(tokens);
  const auto vocab = static_cast<unsigned>(dtable.rows());
  const int bits = std::bit_width(vocab);  // `vocab` itself is a key
  std::size_t room = 0;
  const auto sort = [&](void* data, unsigned* keys, unsigned* keys_out, std::int32_t* of, std::int32_t* of_out) {
    device::check(
        cub::DeviceRadixSort::SortPairs(data, room, keys, keys_out, of, of_out, n, 0, bits, device::native(stream)));
  };
  sort(nullptr, nullptr, nullptr, nullptr, nullptr);
  const std::size_t each = static_cast<std::size_t>(ceil_div(n, 128)) * 128;
  const Scratch scratch(stream, each * 4 * sizeof(std::int32_t) + room);
  auto* keys = scratch.as<unsigned>();
  auto* of = scratch.as<std::int32_t>() + 2 * each;
  make_keys<<<static_cast<unsigned>(ceil_div(n, kThreads)), kThreads, 0, device::native(stream)>>>(
      ids.i32(), vocab_begin, dtable.rows(), n, keys, of);
  check_launch();
  sort(of + 2 * each, keys, keys + each, of, of + each);  // stable: tokens stay in order within a key
  with_type(dy.dtype, "embedding_backward", [&](auto t) {
    using T = decltype(t);
    if (packs<T, 4>(dy) && packs<float, 4>(dtable))
      launch_add_runs<4, T>(stream, dy, keys + each, of + each, dtable);
    else
      launch_add_runs<1, T>(stream, dy, keys + each, of + each, dtable);
  });
}

}  // namespace eddy::kernels::cuda
