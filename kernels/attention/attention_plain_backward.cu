// Backward (Dao 2023, "FlashAttention-2", algorithm 2), all in float32. Blocks of keys compute dk and dv, blocks of
// queries dq: the probabilities are computed twice, and every sum has one owner and a fixed order.
#include "kernels/attention/attention_cuda.h"
#include "kernels/attention/attention_plain.cuh"
#include "kernels/attention/attention_shape.h"

namespace eddy::kernels::cuda {
namespace {
using namespace plain;

/// dot [heads, tokens]: do · o of each head and token, a warp each.
template <class T>
__global__ void __launch_bounds__(kThreads) output_dots(Matrix<T> o, Matrix<T> d_o, float* dot, int heads, int tokens) {
  const std::int64_t warp = std::int64_t{blockIdx.x} * (kThreads / 32) + threadIdx.x / 32;
  if (warp >= std::int64_t{heads} * tokens) return;
  const int head = static_cast<int>(warp % heads), token = static_cast<int>(warp / heads);
  const auto a = o.rows(head, token, 1), b = d_o.rows(head, token, 1);
  float sum = 0;
  for (int c = 4 * static_cast<int>(threadIdx.x % 32); c < o.d; c += 128) {
    const float4 x = a.four(0, c), y = b.four(0, c);
    sum += x.x * y.x + x.y * y.y + x.z * y.z + x.w * y.w;
  }
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0) dot[std::int64_t{head} * tokens + token] = sum;
}

template <class T>
struct Backward {
  Matrix<T> q, k, v, d_o, dq, dk, dv;
  LogSums lse, dot;
  const std::int32_t* cu = nullptr;
  int documents = 0, tokens = 0;
  float scale = 1;
};

/// dk and dv of 64 keys. Tiles hold keys by queries.
template <int kQk, int kV, class T>
__global__ void __launch_bounds__(kThreads) backward_keys(const Backward<T> b) {
  __shared__ alignas(16) float room[kRoom];
  __shared__ alignas(16) float weights[kTile * kStride];
  __shared__ int ends[kTile];
  const int head = static_cast<int>(blockIdx.y);
  const int begin = static_cast<int>(blockIdx.x) * kTile, end = min(begin + kTile, b.tokens);
  if (threadIdx.x < kTile) {
    const int key = begin + static_cast<int>(threadIdx.x);
    ends[threadIdx.x] = key < end ? document_of(b.cu, b.documents, key).end : 0;
  }
  __syncthreads();
  const int last = ends[end - begin - 1];  // the queries from `begin` to here see one of the keys
  int until[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) until[i] = ends[4 * tile_y() + i];

  float dk[4][kQk / 64][4] = {}, dv[4][kV / 64][4] = {};
  for (int query = begin; query < last; query += kTile) {
    const int queries = min(kTile, last - query);
    float p[4][4], ds[4][4];
    tile_product(b.k.rows(head, begin, end - begin), b.q.rows(head, query, queries), room, p);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int at = query + 4 * tile_x() + j;
      const float log_sum = at < last ? b.lse.at(head, at) : 0.f;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const bool sees = at >= begin + 4 * tile_y() + i && at < until[i];
        p[i][j] = sees ? expf(p[i][j] * b.scale - log_sum) : 0.f;
      }
    }
    put_weights(weights, p);
    accumulate<kV>(weights, b.d_o.rows(head, query, queries), room, dv);
    tile_product(b.v.rows(head, begin, end - begin), b.d_o.rows(head, query, queries), room, ds);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int at = query + 4 * tile_x() + j;
      const float dot = at < last ? b.dot.at(head, at) : 0.f;
#pragma unroll
      for (int i = 0; i < 4; ++i) ds[i][j] = p[i][j] * (ds[i][j] - dot) * b.scale;
    }
    put_weights(weights, ds);
    accumulate<kQk>(weights, b.q.rows(head, query, queries), room, dk);
  }
  const float one[4] = {1, 1, 1, 1};
  store_tile<kQk>(b.dk.rows(head, begin, end - begin), dk, one);
  store_tile<kV>(b.dv.rows(head, begin, end - begin), dv, one);
}

/// dq of 64 queries. Tiles hold queries by keys.
template <int kQk, class T>
__global__ void __launch_bounds__(kThreads) backward_queries(const Backward<T> b) {
  __shared__ alignas(16) float room[kRoom];
  __shared__ alignas(16) float weights[kTile * kStride];
  __shared__ int begins[kTile];
  const int head = static_cast<int>(blockIdx.y);
  const int begin = static_cast<int>(gridDim.x - 1 - blockIdx.x) * kTile, end = min(begin + kTile, b.tokens);
  if (threadIdx.x < kTile)
    begins[threadIdx.x] =
        document_of(b.cu, b.documents, min(begin + static_cast<int>(threadIdx.x), b.tokens - 1)).begin;
  __syncthreads();
  int first[4];
  float log_sum[4], dot[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int query = begin + 4 * tile_y() + i;
    first[i] = begins[4 * tile_y() + i];
    log_sum[i] = query < end ? b.lse.at(head, query) : INFINITY;
    dot[i] = query < end ? b.dot.at(head, query) : 0.f;
  }

  float dq[4][kQk / 64][4] = {};
  for (int key = begins[0]; key < end; key += kTile) {
    const int keys = min(kTile, end - key);
    float p[4][4], ds[4][4];
    tile_product(b.q.rows(head, begin, end - begin), b.k.rows(head, key, keys), room, p);
    tile_product(b.d_o.rows(head, begin, end - begin), b.v.rows(head, key, keys), room, ds);
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int at = key + 4 * tile_x() + j;
        const bool sees = at >= first[i] && at <= begin + 4 * tile_y() + i;
        p[i][j] = sees ? expf(p[i][j] * b.scale - log_sum[i]) : 0.f;
        ds[i][j] = p[i][j] * (ds[i][j] - dot[i]) * b.scale;
      }
    put_weights(weights, ds);
    accumulate<kQk>(weights, b.k.rows(head, key, keys), room, dq);
  }
  const float one[4] = {1, 1, 1, 1};
  store_tile<kQk>(b.dq.rows(head, begin, end - begin), dq, one);
}

template <int kQk, int kV, class T>
void launch(const Backward<T>& b, const Matrix<T>& o, int heads, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(ceil_div(b.tokens, kTile)), static_cast<unsigned>(heads));
  const auto dots = static_cast<unsigned>(ceil_div(std::int64_t{b.tokens} * heads, kThreads / 32));
  output_dots<<<dots, kThreads, 0, stream>>>(o, b.d_o, b.dot.data, heads, b.tokens);
  check_launch();
  backward_keys<kQk, kV><<<grid, kThreads, 0, stream>>>(b);
  check_launch();
  backward_queries<kQk><<<grid, kThreads, 0, stream>>>(b);
  check_launch();
}

}  // namespace

void attention_plain_backward(const Stream& stream, View q, View k, View v, View o, View lse, View d_o, int heads,
                              const Documents& documents, float scale, View dq, View dk, View dv, bool lse_by_token) {
  const char* op = "attention_backward";
  const AttentionShape shape = attention_shape(q, k, v, o, lse, heads, documents, op);
  check_gradients(shape, d_o, dq, dk, dv, op);
  if (lse_by_token && !lse.contiguous()) fail_run("{}: 'lse' by token must be contiguous", op);
  const Span span(stream, op, attention_cost(shape, documents, 5, 3));
  if (shape.tokens == 0) return;
  const Scratch room(stream, static_cast<std::size_t>(shape.tokens) * static_cast<std::size_t>(heads) * sizeof(float));
  with_type(shape.dtype, op, [&](auto t) {
    using T = decltype(t);
    const auto matrix = [&](const View& view) { return matrix_of<T>(view, heads); };
    Backward<T> b{matrix(q), matrix(k), matrix(v), matrix(d_o), matrix(dq), matrix(dk), matrix(dv), {}, {}};
    b.lse = lse_by_token ? LogSums{lse.f32(), 1, heads} : LogSums{lse.f32(), lse.row_stride, 1};
    b.dot = {room.as<float>(), shape.tokens, 1};
    b.cu = documents.on_device.i32();
    b.documents = static_cast<int>(documents.cu_seqlens.size()) - 1;
    b.tokens = static_cast<int>(shape.tokens);
    b.scale = scale;
    with_widths(shape.d_qk, shape.d_v, op, [&](auto qk, auto width) {
      launch<decltype(qk)::value, decltype(width)::value>(b, matrix(o), heads, device::native(stream));
    });
  });
}

}  // namespace eddy::kernels::cuda
