#pragma once
// Tiles of attention in float32: 256 threads hold a block of 64 × 64 (or 64 × width) results, thread (ty, tx) rows
// 4 ty..4 ty + 3 and columns 4 tx..4 tx + 3 of each 64. Operands pass through shared memory in chunks, so what a block
// keeps there does not grow with the head's width.
#include "kernels/common/cuda.cuh"

namespace eddy::kernels::cuda::plain {

constexpr int kTile = 64;           // queries or keys of a tile
constexpr int kThreads = 256;       // 16 × 16
constexpr int kStride = kTile + 4;  // of a column in shared memory: keeps four rows one aligned access
constexpr int kDepth = 32;          // columns of both operands that tile_product takes at a time
constexpr int kRows = 16;           // rows that accumulate takes at a time
constexpr int kWidest = 256;        // the widest head
constexpr int kRoom = 2 * kDepth * kStride;
static_assert(kRoom >= kRows * kWidest);

__device__ inline int tile_x() {
  return static_cast<int>(threadIdx.x) % 16;
}
__device__ inline int tile_y() {
  return static_cast<int>(threadIdx.x) / 16;
}

/// Some rows of one head. Rows from `rows` on and columns from `d` on read as zeros.
template <class T>
struct HeadRows {
  T* data;
  std::int64_t stride;
  int rows, d;
  bool packed;  ///< four elements may be moved at once

  __device__ float4 four(int row, int col) const {
    float v[4] = {};
    if (row < rows) {
      const T* at = data + row * stride + col;
      if (packed) {
        if (col < d) {
          const auto pack = load_pack<4>(at);
#pragma unroll
          for (int e = 0; e < 4; ++e) v[e] = to_float(pack.v[e]);
        }
      } else {
#pragma unroll
        for (int e = 0; e < 4; ++e)
          if (col + e < d) v[e] = to_float(at[e]);
      }
    }
    return {v[0], v[1], v[2], v[3]};
  }
  __device__ void store_four(int row, int col, const float (&v)[4]) const {
    if (row >= rows || col >= d) return;
    T* at = data + row * stride + col;
    if (packed) {
      store_pack(at, pack_of<T>(v));
    } else {
#pragma unroll
      for (int e = 0; e < 4; ++e)
        if (col + e < d) at[e] = from_float<T>(v[e]);
    }
  }
};

/// A matrix [tokens, heads · d].
template <class T>
struct Matrix {
  T* data;
  std::int64_t stride;
  int d;
  bool packed;

  __device__ HeadRows<T> rows(int head, int begin, int count) const {
    return {data + begin * stride + std::int64_t{head} * d, stride, count, d, packed};
  }
};
template <class T>
Matrix<T> matrix_of(const View& view, int heads) {
  const int d = static_cast<int>(view.cols() / heads);
  return {static_cast<T*>(view.data), view.row_stride, d, packs<T, 4>(view) && d % 4 == 0};
}

/// The logarithms of the scores' sums, of either layout.
struct LogSums {
  float* data;
  std::int64_t head_stride, token_stride;
  __device__ float& at(int head, int token) const { return data[head * head_stride + token * token_stride]; }
};

/// Where the document of a token begins and ends: cu[0..documents] rises, empty documents hold no token.
struct Bounds {
  int begin, end;
};
__device__ inline Bounds document_of(const std::int32_t* cu, int documents, int token) {
  int low = 0, high = documents;  // cu[low] <= token < cu[high]
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (cu[middle] <= token)
      low = middle;
    else
      high = middle;
  }
  return {cu[low], cu[high]};
}

/// out[i][j] = Σ_c a[4 ty + i][c] · b[4 tx + j][c]. All threads call it; `room` may be in use by a product before.
template <class T>
__device__ void tile_product(const HeadRows<T>& a, const HeadRows<T>& b, float* room, float (&out)[4][4]) {
  // A warp takes 16 rows and 8 columns: whole sectors of global memory, and stores to all banks of shared memory.
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int col = 4 * (lane % 2 + 2 * (warp % 4)), row = lane / 2 + 16 * (warp / 4);
  float *left = room, *right = room + kDepth * kStride;
  float4 x[2], y[2];
  const auto fetch = [&](int c) {
#pragma unroll
    for (int u = 0; u < 2; ++u) {
      x[u] = a.four(row + 32 * u, c + col);
      y[u] = b.four(row + 32 * u, c + col);
    }
  };
#pragma unroll
  for (int i = 0; i < 4; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) out[i][j] = 0;
  fetch(0);
  for (int c = 0; c < a.d; c += kDepth) {
    __syncthreads();
#pragma unroll
    for (int u = 0; u < 2; ++u) {
      float *to_left = left + col * kStride + row + 32 * u, *to_right = right + col * kStride + row + 32 * u;
      to_left[0] = x[u].x, to_left[kStride] = x[u].y, to_left[2 * kStride] = x[u].z, to_left[3 * kStride] = x[u].w;
      to_right[0] = y[u].x, to_right[kStride] = y[u].y, to_right[2 * kStride] = y[u].z, to_right[3 * kStride] = y[u].w;
    }
    __syncthreads();
    if (c + kDepth < a.d) fetch(c + kDepth);
#pragma unroll 8
    for (int k = 0; k < kDepth; ++k) {
      const auto p = load_pack<4>(left + k * kStride + 4 * tile_y()),
                 q = load_pack<4>(right + k * kStride + 4 * tile_x());
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) out[i][j] = fmaf(p.v[i], q.v[j], out[i][j]);
    }
  }
}

/// Puts a tile of 64 × 64 where accumulate reads it: weights[column][row].
__device__ inline void put_weights(float* weights, const float (&tile)[4][4]) {
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    const Pack<float, 4> rows{{tile[0][j], tile[1][j], tile[2][j], tile[3][j]}};
    store_pack(weights + (4 * tile_x() + j) * kStride + 4 * tile_y(), rows);
  }
}

/// sum[i][n][j] += Σ_r weights[r][4 ty + i] · m[r][64 n + 4 tx + j] over m's rows (at most 64). All threads call it.
template <int kWidth, class T>
__device__ void accumulate(const float* weights, const HeadRows<T>& m, float* room, float (&sum)[4][kWidth / 64][4]) {
  constexpr int kPacks = kWidth / 64;  // of a chunk, that a thread moves
  float4 x[kPacks];
  const auto row = [](int u) { return (static_cast<int>(threadIdx.x) + kThreads * u) / (kWidth / 4); };
  const auto col = [](int u) { return (static_cast<int>(threadIdx.x) + kThreads * u) % (kWidth / 4) * 4; };
  const auto fetch = [&](int r) {
#pragma unroll
    for (int u = 0; u < kPacks; ++u) x[u] = m.four(r + row(u), col(u));
  };
  fetch(0);
  for (int r = 0; r < m.rows; r += kRows) {
    __syncthreads();
#pragma unroll
    for (int u = 0; u < kPacks; ++u)
      store_pack(room + row(u) * kWidth + col(u), Pack<float, 4>{{x[u].x, x[u].y, x[u].z, x[u].w}});
    __syncthreads();
    if (r + kRows < m.rows) fetch(r + kRows);
#pragma unroll 4
    for (int k = 0; k < kRows; ++k) {
      const auto w = load_pack<4>(weights + (r + k) * kStride + 4 * tile_y());
#pragma unroll
      for (int n = 0; n < kWidth / 64; ++n) {
        const auto v = load_pack<4>(room + k * kWidth + 64 * n + 4 * tile_x());
#pragma unroll
        for (int i = 0; i < 4; ++i)
#pragma unroll
          for (int j = 0; j < 4; ++j) sum[i][n][j] = fmaf(w.v[i], v.v[j], sum[i][n][j]);
      }
    }
  }
}

/// Stores the sums, each row times factor[i].
template <int kWidth, class T>
__device__ void store_tile(const HeadRows<T>& to, const float (&sum)[4][kWidth / 64][4], const float (&factor)[4]) {
#pragma unroll
  for (int i = 0; i < 4; ++i)
#pragma unroll
    for (int n = 0; n < kWidth / 64; ++n) {
      float v[4];
#pragma unroll
      for (int j = 0; j < 4; ++j) v[j] = sum[i][n][j] * factor[i];
      to.store_four(4 * tile_y() + i, 64 * n + 4 * tile_x(), v);
    }
}

/// Calls f with the widths compiled for that hold these, as integral constants.
template <class F>
void with_widths(int d_qk, int d_v, const char* op, F&& f) {
  if (d_qk > kWidest || d_v > kWidest)
    fail_run("{}: heads of {} (queries, keys) and {} (values); the GPU's kernels take at most {}", op, d_qk, d_v,
             kWidest);
  const auto go = [&]<int kQk, int kV>() { f(std::integral_constant<int, kQk>{}, std::integral_constant<int, kV>{}); };
  if (d_qk <= 64 && d_v <= 64)
    go.template operator()<64, 64>();
  else if (d_qk <= 128 && d_v <= 128)
    go.template operator()<128, 128>();
  else if (d_qk <= 192 && d_v <= 128)
    go.template operator()<192, 128>();
  else
    go.template operator()<256, 256>();
}

}  // namespace eddy::kernels::cuda::plain
