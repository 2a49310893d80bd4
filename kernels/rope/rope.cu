#include <algorithm>

#include "kernels/common/cuda.cuh"
#include "kernels/rope/angles.cuh"
#include "kernels/rope/rope_cuda.h"

namespace eddy::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kUnroll = 4;           // heads whose elements a thread has in flight
constexpr int kTableEntries = 2048;  // of (token, pair) a block: 16 KiB of shared memory

/// A block has `tokens` tokens. Threads along x have kPairs pairs of a head each; threadIdx.y and steps of blockDim.y
/// from it count (token, head). The angles' table is made once a block, while the first elements are on their way.
/// kPacked: the pairs are one access of 16 bytes; otherwise single elements, kPairs = 1.
template <bool kPacked, class T>
__global__ void __launch_bounds__(kThreads, kPacked ? 5 : 4)  // blocks that keep memory busy
    rotate(T* x, std::int64_t row_stride, std::int64_t rows, int tokens, int heads, int head_dim, int offset, int pairs,
           const std::int32_t* positions, const __grid_constant__ Rotation rotation) {
  constexpr int N = kPacked ? 16 / static_cast<int>(sizeof(T)) : 2, kPairs = N / 2;
  extern __shared__ float2 table[];  // (cos, sin) of [tokens, pairs]
  const std::int64_t first = std::int64_t{blockIdx.x} * tokens;
  const int here = static_cast<int>(min(std::int64_t{tokens}, rows - first)), units = here * heads;
  const int step = static_cast<int>(blockDim.y), column = static_cast<int>(threadIdx.x) * N;
  const auto at = [&](int token, int unit) {
    return x + (first + token) * row_stride + std::int64_t{unit - token * heads} * head_dim + offset + column;
  };
  const auto token_of = [&](int unit) { return here == 1 ? 0 : unit / heads; };

  Pack<T, N> v[kUnroll];
  const auto load = [&](int begin) {
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      const int unit = begin + u * step;
      if (unit >= units) continue;
      const T* from = at(token_of(unit), unit);
      if constexpr (kPacked)
        v[u] = load_pack<N>(from);
      else
        v[u] = {{from[0], from[1]}};
    }
  };
  int begin = static_cast<int>(threadIdx.y);
  load(begin);
  const int threads = static_cast<int>(blockDim.x * blockDim.y);
  for (int e = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x); e < here * pairs; e += threads) {
    const int token = e / pairs;
    table[e] = turn_of(rotation, e - token * pairs, positions[first + token]);
  }
  __syncthreads();
  while (begin < units) {
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      const int unit = begin + u * step;
      if (unit >= units) continue;
      const int token = token_of(unit);
      const float2* angles = table + token * pairs + static_cast<int>(threadIdx.x) * kPairs;
      float out[N];
      to_floats(v[u], out);
#pragma unroll
      for (int k = 0; k < kPairs; ++k) {
        const float2 pair = turned({out[2 * k], out[2 * k + 1]}, angles[k]);
        out[2 * k] = pair.x;
        out[2 * k + 1] = pair.y;
      }
      const Pack<T, N> rotated = pack_of<T>(out);
      T* to = at(token, unit);
      if constexpr (kPacked) {
        store_pack(to, rotated);
      } else {
        to[0] = rotated.v[0];
        to[1] = rotated.v[1];
      }
    }
    begin += kUnroll * step;
    load(begin);
  }
}

}  // namespace

void rope(const Stream& stream, View x, int heads, int head_dim, int offset, View positions, const RopeTable& table,
          bool inverse) {
  const auto pairs = static_cast<int>(std::min<std::size_t>(table.inverse_frequency.size(), 1 << 20));
  if (heads < 1 || offset < 0 || offset + 2 * pairs > head_dim)
    fail_run("rope: {} pairs from column {} do not fit {} heads of {}", pairs, offset, heads, head_dim);
  const Rotation rotation = rotation_of(table, inverse, "rope");
  const std::int64_t rows = x.rows();
  expect_rows(x, x.dtype, rows, std::int64_t{heads} * head_dim, "rope", "x");
  expect_vector(positions, Dtype::i32, rows, "rope", "positions");
  const double elements = static_cast<double>(rows) * heads * 2 * pairs;
  const Span span(stream, "rope", {2 * elements * static_cast<double>(size_of(x.dtype)), 3 * elements});
  if (rows == 0 || pairs == 0) return;
  with_type(x.dtype, "rope", [&](auto t) {
    using T = decltype(t);
    constexpr int N = 16 / static_cast<int>(sizeof(T));
    const auto launch = [&](auto packed) {
      constexpr bool kPacked = decltype(packed)::value;
      const int width = kPacked ? 2 * pairs / N : pairs, height = kThreads / width;
      // As many tokens a block as give each thread kUnroll packs, and as the table has room for.
      const int room = std::max(1, kTableEntries / pairs);
      const int tokens = std::clamp(kUnroll * height / heads, 1, room);
      rotate<kPacked><<<static_cast<unsigned>(ceil_div(rows, tokens)),
                        dim3(static_cast<unsigned>(width), static_cast<unsigned>(height)),
                        static_cast<std::size_t>(tokens * pairs) * sizeof(float2), device::native(stream)>>>(
          static_cast<T*>(x.data), x.row_stride, rows, tokens, heads, head_dim, offset, pairs,
          static_cast<const std::int32_t*>(positions.data), rotation);
      check_launch();
    };
    if (packs<T, N>(x) && head_dim % N == 0 && offset % N == 0 && 2 * pairs % N == 0)
      launch(std::true_type{});
    else
      launch(std::false_type{});
  });
}

}  // namespace eddy::kernels::cuda
