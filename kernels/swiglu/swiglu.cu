#include <algorithm>
#include <initializer_list>
#include <utility>

#include "kernels/common/cuda.cuh"
#include "kernels/swiglu/swiglu_cuda.h"

namespace eddy::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kUnroll = 2;  // rows that a thread has in flight where nothing is summed

template <class T>
struct Matrix {
  T* data;
  std::int64_t stride;
  __device__ T* row(std::int64_t r) const { return data + r * stride; }
};
template <class T>
Matrix<T> matrix(const View& view) {
  return {static_cast<T*>(view.data), view.row_stride};
}

/// 1 / (1 + e^-x). For bf16 the hardware's own exp and division: a few 1e-7 off, where bf16 keeps 4e-3.
template <class T>
__device__ inline float sigmoid(float x) {
  if constexpr (std::is_same_v<T, float>)
    return 1.0f / (1.0f + expf(-x));
  else
    return __fdividef(1.0f, 1.0f + __expf(-x));
}

struct Gradients {
  float gate, up, act;  ///< act: silu(gate) · up
};
template <class T>
__device__ inline Gradients gradients(float back, float gate, float up) {
  const float s = sigmoid<T>(gate), silu = gate * s;
  return {back * up * s * (1.0f + gate * (1.0f - s)), back * silu, silu * up};
}

/// Where a thread works: one pack of kUnroll rows, blockDim.y apart. Blocks along x take rows, along y columns.
struct Place {
  std::int64_t row;  ///< the first
  int pack;
};
__device__ inline Place place() {
  return {std::int64_t{blockIdx.x} * kUnroll * blockDim.y + threadIdx.y,
          static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x)};
}

/// act = silu(gate) · up · weights[row] (weights may be null).
template <int N, class T>
__global__ void __launch_bounds__(kThreads)
    forward(Matrix<const T> gate_up, Matrix<T> act, const float* weights, std::int64_t rows, int cols) {
  const Place p = place();
  if (p.pack >= cols / N) return;
  Pack<T, N> gate[kUnroll], up[kUnroll];
  float weight[kUnroll];
#pragma unroll
  for (int u = 0; u < kUnroll; ++u) {
    const std::int64_t r = p.row + u * static_cast<int>(blockDim.y);
    if (r >= rows) continue;
    gate[u] = load_pack<N>(gate_up.row(r) + p.pack * N);
    up[u] = load_pack<N>(gate_up.row(r) + cols + p.pack * N);
    weight[u] = weights ? weights[r] : 1.0f;
  }
#pragma unroll
  for (int u = 0; u < kUnroll; ++u) {
    const std::int64_t r = p.row + u * static_cast<int>(blockDim.y);
    if (r >= rows) continue;
    float out[N];
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const float g = to_float(gate[u].v[j]);
      out[j] = g * sigmoid<T>(g) * to_float(up[u].v[j]) * weight[u];
    }
    store_pack(act.row(r) + p.pack * N, pack_of<T>(out));
  }
}

/// dgate_up of dact; a thread reads its elements of all rows before it writes: may be in place.
template <int N, class T>
__global__ void __launch_bounds__(kThreads)
    backward(Matrix<const T> dact, Matrix<const T> gate_up, Matrix<T> dgate_up, std::int64_t rows, int cols) {
  const Place p = place();
  if (p.pack >= cols / N) return;
  Pack<T, N> gate[kUnroll], up[kUnroll], back[kUnroll];
#pragma unroll
  for (int u = 0; u < kUnroll; ++u) {
    const std::int64_t r = p.row + u * static_cast<int>(blockDim.y);
    if (r >= rows) continue;
    gate[u] = load_pack<N>(gate_up.row(r) + p.pack * N);
    up[u] = load_pack<N>(gate_up.row(r) + cols + p.pack * N);
    back[u] = load_pack<N>(dact.row(r) + p.pack * N);
  }
#pragma unroll
  for (int u = 0; u < kUnroll; ++u) {
    const std::int64_t r = p.row + u * static_cast<int>(blockDim.y);
    if (r >= rows) continue;
    float dgate[N], dup[N];
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const Gradients g = gradients<T>(to_float(back[u].v[j]), to_float(gate[u].v[j]), to_float(up[u].v[j]));
      dgate[j] = g.gate;
      dup[j] = g.up;
    }
    store_pack(dgate_up.row(r) + p.pack * N, pack_of<T>(dgate));
    store_pack(dgate_up.row(r) + cols + p.pack * N, pack_of<T>(dup));
  }
}

/// The same behind weights. blockDim.x threads (whole warps) have a row, threadIdx.y is the row within the block; the
/// barrier for dweights comes after everything was read and written. One pack of each operand at a time: with two the
/// registers leave fewer bytes on their way.
template <int N, class T>
__global__ void __launch_bounds__(kThreads)
    weighted_backward(Matrix<const T> dact, Matrix<const T> gate_up, const float* weights, Matrix<T> dgate_up,
                      float* dweights, Matrix<T> act, std::int64_t rows, int cols) {
  __shared__ float slots[kThreads / 32];
  const std::int64_t r = std::int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  const int packs = r < rows ? cols / N : 0, width = static_cast<int>(blockDim.x);
  const float weight = r < rows ? weights[r] : 0.f;
  float dot = 0;
  for (int i = static_cast<int>(threadIdx.x); i < packs; i += width) {
    const Pack<T, N> gate = load_pack<N>(gate_up.row(r) + i * N), up = load_pack<N>(gate_up.row(r) + cols + i * N),
                     back = load_pack<N>(dact.row(r) + i * N);
    float dgate[N], dup[N], again[N];
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const float b = to_float(back.v[j]);
      const Gradients g = gradients<T>(b * weight, to_float(gate.v[j]), to_float(up.v[j]));
      dgate[j] = g.gate;
      dup[j] = g.up;
      again[j] = g.act * weight;
      dot += b * g.act;
    }
    store_pack(dgate_up.row(r) + i * N, pack_of<T>(dgate));
    store_pack(dgate_up.row(r) + cols + i * N, pack_of<T>(dup));
    store_pack(act.row(r) + i * N, pack_of<T>(again));
  }
  dot = warp_sum(dot);
  const int warps = width / 32;
  float* row = slots + static_cast<int>(threadIdx.y) * warps;
  if (threadIdx.x % 32 == 0) row[threadIdx.x / 32] = dot;
  __syncthreads();
  if (threadIdx.x != 0 || r >= rows) return;
  float sum = 0;
  for (int w = 0; w < warps; ++w) sum += row[w];
  dweights[r] = sum;
}

/// Threads along a row of `packs` packs: a power of two from `least` to kThreads.
unsigned width_for(std::int64_t packs, unsigned least) {
  unsigned width = least;
  while (width < kThreads && width < packs) width *= 2;
  return width;
}

/// Calls go with N, the elements in a pack: 16 bytes' worth where the views allow, or 1.
template <class F>
void with_packs(const char* op, const View& gate_up, const View& act, std::initializer_list<View> others, F go) {
  with_type(act.dtype, op, [&](auto t) {
    using T = decltype(t);
    constexpr int N = 16 / static_cast<int>(sizeof(T));
    const bool wide = packs<T, N>(gate_up) && packs<T, N>(act) &&
                      std::all_of(others.begin(), others.end(), [](const View& v) { return packs<T, N>(v); });
    if (wide)
      go(t, std::integral_constant<int, N>{});
    else
      go(t, std::integral_constant<int, 1>{});
  });
}

/// gate_up [R, 2I] beside an activation [R, I] of its type.
void check_views(const char* op, const View& act, const char* act_name, const View& gate_up, const char* gate_up_name) {
  expect_rows(act, act.dtype, act.rows(), act.cols(), op, act_name);
  expect_rows(gate_up, act.dtype, act.rows(), 2 * act.cols(), op, gate_up_name);
  if (act.cols() > std::int64_t{1} << 29) fail_run("{}: rows of {} are too long", op, act.cols());
}

/// The grid and block for kernels that use place().
std::pair<dim3, dim3> launch_shape(std::int64_t rows, std::int64_t packs) {
  const unsigned width = width_for(packs, 1);
  const dim3 block(width, kThreads / width);
  return {dim3(static_cast<unsigned>(ceil_div(rows, kUnroll * std::int64_t{block.y})),
               static_cast<unsigned>(ceil_div(packs, width))),
          block};
}

}  // namespace

void swiglu(const Stream& stream, View gate_up, View act, View weights) {
  const std::int64_t rows = act.rows(), cols = act.cols();
  check_views("swiglu", act, "act", gate_up, "gate_up");
  if (weights) expect_vector(weights, Dtype::f32, rows, "swiglu", "weights");
  const auto n = static_cast<double>(act.numel());
  const Span span(stream, "swiglu", {3 * n * static_cast<double>(size_of(act.dtype)), 6 * n});
  if (act.numel() == 0) return;
  with_packs("swiglu", gate_up, act, {}, [&](auto t, auto pack) {
    using T = decltype(t);
    constexpr int N = decltype(pack)::value;
    const auto [grid, block] = launch_shape(rows, cols / N);
    forward<N, T><<<grid, block, 0, device::native(stream)>>>(matrix<const T>(gate_up), matrix<T>(act),
                                                              static_cast<const float*>(weights.data), rows,
                                                              static_cast<int>(cols));
    check_launch();
  });
}

void swiglu_backward(const Stream& stream, View dact, View gate_up, View dgate_up) {
  const std::int64_t rows = dact.rows(), cols = dact.cols();
  check_views("swiglu_backward", dact, "dact", gate_up, "gate_up");
  check_views("swiglu_backward", dact, "dact", dgate_up, "dgate_up");
  const auto n = static_cast<double>(dact.numel());
  const Span span(stream, "swiglu_backward", {5 * n * static_cast<double>(size_of(dact.dtype)), 12 * n});
  if (dact.numel() == 0) return;
  with_packs("swiglu_backward", gate_up, dact, {dgate_up}, [&](auto t, auto pack) {
    using T = decltype(t);
    constexpr int N = decltype(pack)::value;
    const auto [grid, block] = launch_shape(rows, cols / N);
    backward<N, T><<<grid, block, 0, device::native(stream)>>>(matrix<const T>(dact), matrix<const T>(gate_up),
                                                               matrix<T>(dgate_up), rows, static_cast<int>(cols));
    check_launch();
  });
}

void swiglu_weighted_backward(const Stream& stream, View dact, View gate_up, View weights, View dgate_up, View dweights,
                              View act) {
  constexpr const char* kOp = "swiglu_weighted_backward";
  const std::int64_t rows = dact.rows(), cols = dact.cols();
  check_views(kOp, dact, "dact", gate_up, "gate_up");
  check_views(kOp, dact, "dact", dgate_up, "dgate_up");
  expect_rows(act, dact.dtype, rows, cols, kOp, "act");
  expect_vector(weights, Dtype::f32, rows, kOp, "weights");
  expect_vector(dweights, Dtype::f32, rows, kOp, "dweights");
  const auto n = static_cast<double>(dact.numel());
  const Span span(stream, kOp, {6 * n * static_cast<double>(size_of(dact.dtype)), 16 * n});
  if (rows == 0) return;
  with_packs(kOp, gate_up, dact, {dgate_up, act}, [&](auto t, auto pack) {
    using T = decltype(t);
    constexpr int N = decltype(pack)::value;
    const unsigned width = width_for(cols / N, 32);
    const dim3 block(width, kThreads / width);
    weighted_backward<N, T><<<static_cast<unsigned>(ceil_div(rows, block.y)), block, 0, device::native(stream)>>>(
        matrix<const T>(dact), matrix<const T>(gate_up), static_cast<const float*>(weights.data), matrix<T>(dgate_up),
        static_cast<float*>(dweights.data), matrix<T>(act), rows, static_cast<int>(cols));
    check_launch();
  });
}

}  // namespace eddy::kernels::cuda
