// Forward: a block computes 64 queries of one head with an online softmax over tiles of keys (Milakov & Gimelshein
// 2018; Dao 2023, "FlashAttention-2", algorithm 1), all in float32. Tiles are cut without regard to documents, which
// only bound the keys that a query sees.
#include "kernels/attention/attention_cuda.h"
#include "kernels/attention/attention_plain.cuh"
#include "kernels/attention/attention_shape.h"

namespace eddy::kernels::cuda {
namespace {
using namespace plain;

__device__ float max_of_row(float v) {  // over the 16 threads of a row
#pragma unroll
  for (int offset = 8; offset > 0; offset /= 2) v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, offset));
  return v;
}
__device__ float sum_of_row(float v) {
#pragma unroll
  for (int offset = 8; offset > 0; offset /= 2) v += __shfl_xor_sync(0xffffffffu, v, offset);
  return v;
}

template <int kWidth, class T>
__global__ void __launch_bounds__(kThreads)
    attention_forward(Matrix<T> q, Matrix<T> k, Matrix<T> v, Matrix<T> o, LogSums lse, const std::int32_t* cu,
                      int documents, int tokens, float scale) {
  __shared__ alignas(16) float room[kRoom];
  __shared__ alignas(16) float weights[kTile * kStride];
  __shared__ int begins[kTile];
  const int head = static_cast<int>(blockIdx.y);
  // The last tiles see the most keys: they start first.
  const int begin = static_cast<int>(gridDim.x - 1 - blockIdx.x) * kTile, end = min(begin + kTile, tokens);
  if (threadIdx.x < kTile)
    begins[threadIdx.x] = document_of(cu, documents, min(begin + static_cast<int>(threadIdx.x), tokens - 1)).begin;
  __syncthreads();

  float sum[4][kWidth / 64][4] = {}, max[4], total[4] = {};  // total: this thread's part of the row's
  int first[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    max[i] = -INFINITY;
    first[i] = begins[4 * tile_y() + i];
  }
  for (int key = begins[0]; key < end; key += kTile) {
    const int keys = min(kTile, end - key);
    float p[4][4];
    tile_product(q.rows(head, begin, end - begin), k.rows(head, key, keys), room, p);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int query = begin + 4 * tile_y() + i;
      float highest = -INFINITY;
      bool sees[4];
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int at = key + 4 * tile_x() + j;
        sees[j] = at >= first[i] && at <= query;
        p[i][j] *= scale;
        if (sees[j]) highest = fmaxf(highest, p[i][j]);
      }
      highest = fmaxf(max[i], max_of_row(highest));
      const float base = highest == -INFINITY ? 0.f : highest;  // a row may see nothing of its first tiles
      const float shrink = expf(max[i] - base);
      max[i] = highest;
      total[i] *= shrink;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        p[i][j] = sees[j] ? expf(p[i][j] - base) : 0.f;
        total[i] += p[i][j];
      }
#pragma unroll
      for (int n = 0; n < kWidth / 64; ++n)
#pragma unroll
        for (int j = 0; j < 4; ++j) sum[i][n][j] *= shrink;
    }
    put_weights(weights, p);
    accumulate<kWidth>(weights, v.rows(head, key, keys), room, sum);
  }
  float inverse[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float all = sum_of_row(total[i]);
    inverse[i] = 1.f / all;
    const int query = begin + 4 * tile_y() + i;
    if (tile_x() == 0 && query < end) lse.at(head, query) = max[i] + logf(all);
  }
  store_tile<kWidth>(o.rows(head, begin, end - begin), sum, inverse);
}

}  // namespace

void attention_plain(const Stream& stream, View q, View k, View v, int heads, const Documents& documents, float scale,
                     View o, View lse) {
  const AttentionShape shape = attention_shape(q, k, v, o, lse, heads, documents, "attention");
  const Span span(stream, "attention", attention_cost(shape, documents, 2, 1));
  if (shape.tokens == 0) return;
  const dim3 grid(static_cast<unsigned>(ceil_div(shape.tokens, kTile)), static_cast<unsigned>(heads));
  with_type(shape.dtype, "attention", [&](auto t) {
    using T = decltype(t);
    // Only the values' width matters here.
    with_widths(shape.d_v > 128 ? kWidest : shape.d_v, shape.d_v, "attention", [&](auto, auto width) {
      attention_forward<decltype(width)::value><<<grid, kThreads, 0, device::native(stream)>>>(
          matrix_of<T>(q, heads), matrix_of<T>(k, heads), matrix_of<T>(v, heads), matrix_of<T>(o, heads),
          LogSums{lse.f32(), lse.row_stride, 1}, documents.on_device.i32(),
          static_cast<int>(documents.cu_seqlens.size()) - 1, static_cast<int>(shape.tokens), scale);
    });
  });
  check_launch();
}

}  // namespace eddy::kernels::cuda
