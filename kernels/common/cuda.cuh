#pragma once
// What every CUDA kernel's launcher uses. Sources of the CUDA build only.
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#include "base/error.h"
#include "device/cuda_check.h"
#include "device/span.h"
#include "device/stream.h"
#include "tensor/view.h"

namespace eddy {
template <>
inline constexpr Dtype dtype_of<__nv_bfloat16> = Dtype::bf16;
}  // namespace eddy

namespace eddy::kernels::cuda {
using bf16 = __nv_bfloat16;
using device::Scratch;
using device::Span;
using device::Stream;
using tensor::View;

/// Calls f(T{}) with T the element type of an activation: float or bf16. Throws Error (status 1) for another.
template <class F>
void with_type(Dtype dtype, const char* op, F&& f) {
  if (dtype == Dtype::f32) return f(float{});
  if (dtype == Dtype::bf16) return f(bf16{});
  fail_run("{}: no GPU kernel for {}", op, name_of(dtype));
}

/// Throws unless the launch just made was accepted.
inline void check_launch(std::source_location at = std::source_location::current()) {
  device::check(cudaGetLastError(), at);
}

constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

__device__ inline float to_float(float v) {
  return v;
}
__device__ inline float to_float(bf16 v) {
  return __bfloat162float(v);
}
template <class T>
__device__ inline T from_float(float v) {
  if constexpr (std::is_same_v<T, float>)
    return v;
  else
    return __float2bfloat16(v);
}

/// N consecutive elements, loaded and stored as one aligned access: N · sizeof(T) is 4, 8 or 16 bytes.
template <class T, int N>
struct alignas(N * sizeof(T)) Pack {
  T v[N];
};

/// The integers that a pack moves as: the compiler takes bf16 elements apart, and would load 8 of them as two accesses.
template <int kBytes>
using Word = std::conditional_t<
    kBytes == 16, uint4,
    std::conditional_t<kBytes == 8, uint2, std::conditional_t<kBytes == 4, unsigned, unsigned short>>>;

/// The pack at `at` (aligned to its size), in one access.
template <int N, class T>
__device__ inline Pack<T, N> load_pack(const T* at) {
  if constexpr (N == 1)
    return {{*at}};
  else
    return __builtin_bit_cast(Pack<T, N>, *reinterpret_cast<const Word<N * sizeof(T)>*>(at));
}
template <int N, class T>
__device__ inline void store_pack(T* at, const Pack<T, N>& pack) {
  if constexpr (N == 1)
    *at = pack.v[0];
  else
    *reinterpret_cast<Word<N * sizeof(T)>*>(at) = __builtin_bit_cast(Word<N * sizeof(T)>, pack);
}
/// The elements as floats. A bf16 is the upper half of its float: taken from words, since elements taken apart would
/// each keep a register.
template <int N, class T>
__device__ inline void to_floats(const Pack<T, N>& pack, float (&out)[N]) {
  if constexpr (std::is_same_v<T, bf16> && N % 2 == 0) {
    const auto words = __builtin_bit_cast(Pack<unsigned, N / 2>, pack);
#pragma unroll
    for (int k = 0; k < N / 2; ++k) {
      out[2 * k] = __uint_as_float(words.v[k] << 16);
      out[2 * k + 1] = __uint_as_float(words.v[k] & 0xffff0000u);
    }
  } else {
#pragma unroll
    for (int k = 0; k < N; ++k) out[k] = to_float(pack.v[k]);
  }
}
/// Rounded to T, bf16 two at a time.
template <class T, int N>
__device__ inline Pack<T, N> pack_of(const float (&values)[N]) {
  if constexpr (std::is_same_v<T, bf16> && N % 2 == 0) {
    // As raw pairs: __nv_bfloat162 has copy constructors of its own, which bit_cast does not take.
    Pack<__nv_bfloat162_raw, N / 2> pairs;
#pragma unroll
    for (int k = 0; k < N / 2; ++k) pairs.v[k] = __floats2bfloat162_rn(values[2 * k], values[2 * k + 1]);
    return __builtin_bit_cast(Pack<T, N>, pairs);
  } else {
    Pack<T, N> pack;
#pragma unroll
    for (int k = 0; k < N; ++k) pack.v[k] = from_float<T>(values[k]);
    return pack;
  }
}

/// May rows of these views be read N elements at a time? (addresses, strides and widths are multiples of N elements)
template <class T, int N>
bool packs(const View& view) {
  return reinterpret_cast<std::uintptr_t>(view.data) % (N * sizeof(T)) == 0 && view.row_stride % N == 0 &&
         view.cols() % N == 0;
}

/// Throws Error (status 1) unless the view holds `rows` rows of `cols` elements of this type.
inline void expect_rows(const View& view, Dtype dtype, std::int64_t rows, std::int64_t cols, const char* op,
                        const char* name) {
  if (view.dtype != dtype || view.shape.rank() < 1 || view.rows() != rows || view.cols() != cols)
    fail_run("{}: '{}' is {} of shape {}; expected {} rows of {} {}", op, name, name_of(view.dtype), view.shape.text(),
             rows, cols, name_of(dtype));
}
/// Throws Error (status 1) unless the view holds n contiguous elements of this type.
inline void expect_vector(const View& view, Dtype dtype, std::int64_t n, const char* op, const char* name) {
  if (view.dtype != dtype || view.shape.rank() < 1 || view.numel() != n || !view.contiguous())
    fail_run("{}: '{}' is {} of shape {}; expected {} contiguous {}", op, name, name_of(view.dtype), view.shape.text(),
             n, name_of(dtype));
}

__device__ inline float warp_sum(float v) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) v += __shfl_xor_sync(0xffffffffu, v, offset);
  return v;
}
__device__ inline float warp_max(float v) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, offset));
  return v;
}

/// Sum over the block, on every thread, in a fixed order. blockDim.x is a multiple of 32, at most 1024; `shared` has 33
/// floats. All threads call it; a call may follow another at once.
__device__ inline float block_sum(float v, float* shared) {
  v = warp_sum(v);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
  if (lane == 0) shared[warp] = v;
  __syncthreads();
  if (warp == 0) {
    float s = lane < warps ? shared[lane] : 0.f;
    s = warp_sum(s);
    if (lane == 0) shared[32] = s;
  }
  __syncthreads();
  const float total = shared[32];
  __syncthreads();
  return total;
}

}  // namespace eddy::kernels::cuda
