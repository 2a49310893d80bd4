// Copies between the up-projection's layout and attention's: a warp takes one head of one token at a time.
#include "kernels/attention/attention_cuda.h"
#include "kernels/common/cuda.cuh"
#include "kernels/rope/angles.cuh"

namespace eddy::kernels::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;
static_assert(kMaxPairs <= kThreads);  // each pair of the shared key has a thread
constexpr int kAhead = 4;              // heads whose loads a warp has in flight

/// Widths in packs of N elements.
struct Widths {
  int heads, nope, rope, d_v;
};
template <class T>
struct Strided {
  T* data;
  std::int64_t stride;
};

template <int N, class T>
__global__ void __launch_bounds__(kThreads)
    split(Strided<const T> kv, Strided<const T> k_rope, Strided<T> k, Strided<T> v, Widths w,
          const std::int32_t* positions, const __grid_constant__ Rotation rotation) {
  extern __shared__ uint4 room[];  // the shared key, rotated: of every head
  T* rotated = reinterpret_cast<T*>(room);
  const std::int64_t token = blockIdx.x;
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const T *from = kv.data + token * kv.stride, *key_part = k_rope.data + token * k_rope.stride;
  T *to_k = k.data + token * k.stride, *to_v = v.data + token * v.stride;
  const int width = w.nope + w.d_v, key = w.nope + w.rope;
  if (const int pair = static_cast<int>(threadIdx.x); pair < w.rope * N / 2) {
    const float2 out = turned({to_float(key_part[2 * pair]), to_float(key_part[2 * pair + 1])},
                              turn_of(rotation, pair, positions[token]));
    rotated[2 * pair] = from_float<T>(out.x);
    rotated[2 * pair + 1] = from_float<T>(out.y);
  }
  for (int p = lane; p < width; p += 32)
    for (int first = warp; first < w.heads; first += kWarps * kAhead) {
      Pack<T, N> x[kAhead];
#pragma unroll
      for (int u = 0; u < kAhead; ++u)
        if (const int h = first + u * kWarps; h < w.heads)
          x[u] = load_pack<N>(from + (std::int64_t{h} * width + p) * N);
#pragma unroll
      for (int u = 0; u < kAhead; ++u)
        if (const int h = first + u * kWarps; h < w.heads)
          store_pack(
              p < w.nope ? to_k + (std::int64_t{h} * key + p) * N : to_v + (std::int64_t{h} * w.d_v + p - w.nope) * N,
              x[u]);
    }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < w.heads * w.rope; i += kThreads) {
    const int h = i / w.rope, p = i % w.rope;
    store_pack(to_k + (std::int64_t{h} * key + w.nope + p) * N, load_pack<N>(rotated + p * N));
  }
}

/// kThreads / w.rope groups of threads sum the rotated part over every so-many-th head, then the groups are summed.
template <int N, class T>
__global__ void __launch_bounds__(kThreads)
    join(Strided<const T> dk, Strided<const T> dv, Strided<T> dkv, Strided<T> dk_rope, Widths w,
         const std::int32_t* positions, const __grid_constant__ Rotation rotation) {
  __shared__ float sums[kThreads * N];
  const std::int64_t token = blockIdx.x;
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const T *from_k = dk.data + token * dk.stride, *from_v = dv.data + token * dv.stride;
  T *to = dkv.data + token * dkv.stride, *key_part = dk_rope.data + token * dk_rope.stride;
  const int width = w.nope + w.d_v, key = w.nope + w.rope, pair = static_cast<int>(threadIdx.x);
  float2 turn = {0, 0};
  if (pair < w.rope * N / 2) turn = turn_of(rotation, pair, positions[token]);
  for (int p = lane; p < width; p += 32)
    for (int first = warp; first < w.heads; first += kWarps * kAhead) {
      Pack<T, N> x[kAhead];
#pragma unroll
      for (int u = 0; u < kAhead; ++u)
        if (const int h = first + u * kWarps; h < w.heads)
          x[u] = load_pack<N>(p < w.nope ? from_k + (std::int64_t{h} * key + p) * N
                                         : from_v + (std::int64_t{h} * w.d_v + p - w.nope) * N);
#pragma unroll
      for (int u = 0; u < kAhead; ++u)
        if (const int h = first + u * kWarps; h < w.heads) store_pack(to + (std::int64_t{h} * width + p) * N, x[u]);
    }
  if (w.rope == 0) return;
  const int groups = kThreads / w.rope, group = static_cast<int>(threadIdx.x) / w.rope,
            p = static_cast<int>(threadIdx.x) % w.rope;
  float sum[N] = {};
  if (group < groups) {
    for (int first = group; first < w.heads; first += groups * kAhead) {
      Pack<T, N> x[kAhead];
#pragma unroll
      for (int u = 0; u < kAhead; ++u)
        if (const int h = first + u * groups; h < w.heads)
          x[u] = load_pack<N>(from_k + (std::int64_t{h} * key + w.nope + p) * N);
#pragma unroll
      for (int u = 0; u < kAhead; ++u)
        if (first + u * groups < w.heads)
#pragma unroll
          for (int e = 0; e < N; ++e) sum[e] += to_float(x[u].v[e]);
    }
#pragma unroll
    for (int e = 0; e < N; ++e) sums[(group * w.rope + p) * N + e] = sum[e];
  }
  __syncthreads();
  if (pair < w.rope * N / 2) {
    float2 total = {0, 0};
    for (int g = 0; g < groups; ++g) {
      const float* part = sums + g * w.rope * N + 2 * pair;
      total = {total.x + part[0], total.y + part[1]};
    }
    total = turned(total, turn);
    key_part[2 * pair] = from_float<T>(total.x);
    key_part[2 * pair + 1] = from_float<T>(total.y);
  }
}

template <class T>
Strided<const T> input(const View& view) {
  return {static_cast<const T*>(view.data), view.row_stride};
}
template <class T>
Strided<T> output(const View& view) {
  return {static_cast<T*>(view.data), view.row_stride};
}

/// Checks the views and calls f(T{}, integral_constant N) where elements move N at a time.
template <class F>
void with_pack(const View& kv, const View& k_rope, const View& k, const View& v, const View& positions, int heads,
               int nope, int rope, int d_v, const char* op, F&& f) {
  if (heads < 1 || nope < 0 || rope < 0 || d_v < 0 || kv.shape.rank() < 1)
    fail_run("{}: {} heads of {} + {} and {}", op, heads, nope, rope, d_v);
  const std::int64_t tokens = kv.rows(), h = heads;
  expect_rows(kv, kv.dtype, tokens, h * (nope + d_v), op, "kv");
  expect_rows(k_rope, kv.dtype, tokens, rope, op, "k_rope");
  expect_rows(k, kv.dtype, tokens, h * (nope + rope), op, "k");
  expect_rows(v, kv.dtype, tokens, h * d_v, op, "v");
  expect_vector(positions, Dtype::i32, tokens, op, "positions");
  with_type(kv.dtype, op, [&](auto t) {
    using T = decltype(t);
    constexpr int kPack = 16 / static_cast<int>(sizeof(T));
    if (nope % kPack == 0 && rope % kPack == 0 && d_v % kPack == 0 && packs<T, kPack>(kv) && packs<T, kPack>(k_rope) &&
        packs<T, kPack>(k) && packs<T, kPack>(v))
      return f(t, std::integral_constant<int, kPack>{});
    f(t, std::integral_constant<int, 1>{});
  });
}

device::Cost cost(const View& kv, const View& k_rope, const View& k, const View& v) {
  return {static_cast<double>(kv.bytes() + k_rope.bytes() + k.bytes() + v.bytes()), 0};
}

}  // namespace

void mla_split_kv(const Stream& stream, View kv, View k_rope, View positions, const RopeTable& table, int heads,
                  int nope, int d_v, View k, View v) {
  const char* op = "mla_split_kv";
  const Rotation rotation = rotation_of(table, false, op);
  const int rope = 2 * static_cast<int>(table.inverse_frequency.size());
  with_pack(kv, k_rope, k, v, positions, heads, nope, rope, d_v, op, [&](auto t, auto n) {
    using T = decltype(t);
    constexpr int N = decltype(n)::value;
    const Span span(stream, op, cost(kv, k_rope, k, v));
    if (kv.rows() == 0) return;
    const std::size_t shared = static_cast<std::size_t>(rope) * sizeof(T);
    split<N><<<static_cast<unsigned>(kv.rows()), kThreads, shared, device::native(stream)>>>(
        input<T>(kv), input<T>(k_rope), output<T>(k), output<T>(v), Widths{heads, nope / N, rope / N, d_v / N},
        positions.i32(), rotation);
    check_launch();
  });
}

void mla_split_kv_backward(const Stream& stream, View dk, View dv, View positions, const RopeTable& table, int heads,
                           int nope, int d_v, View dkv, View dk_rope) {
  const char* op = "mla_split_kv_backward";
  const Rotation rotation = rotation_of(table, true, op);
  const int rope = 2 * static_cast<int>(table.inverse_frequency.size());
  with_pack(dkv, dk_rope, dk, dv, positions, heads, nope, rope, d_v, op, [&](auto t, auto n) {
    using T = decltype(t);
    constexpr int N = decltype(n)::value;
    if (rope / N > kThreads) fail_run("{}: a rotated part of {} elements; at most {}", op, rope, kThreads * N);
    const Span span(stream, op, cost(dkv, dk_rope, dk, dv));
    if (dkv.rows() == 0) return;
    join<N><<<static_cast<unsigned>(dkv.rows()), kThreads, 0, device::native(stream)>>>(
        input<T>(dk), input<T>(dv), output<T>(dkv), output<T>(dk_rope), Widths{heads, nope / N, rope / N, d_v / N},
        positions.i32(), rotation);
    check_launch();
  });
}

}  // namespace eddy::kernels::cuda
