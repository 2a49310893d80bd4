#include <algorithm>

#include "kernels/common/cuda.cuh"
#include "kernels/elementwise/elementwise_cuda.h"

namespace eddy::kernels::cuda {
namespace {

constexpr int kThreads = 256;

// What becomes of one element: `from` and `to` hold what was there, of the views that the operation reads.
struct Add {
  static constexpr bool kFrom = true, kTo = true;
  template <class A, class B>
  __device__ B operator()(A from, B to) const {
    if constexpr (std::is_integral_v<B>)
      return to + from;
    else
      return from_float<B>(to_float(to) + to_float(from));
  }
};
struct Scale {
  static constexpr bool kFrom = false, kTo = true;
  float factor;
  template <class T>
  __device__ T operator()(T, T to) const {
    return from_float<T>(to_float(to) * factor);
  }
};
struct Convert {
  static constexpr bool kFrom = true, kTo = false;
  template <class A, class B>
  __device__ B operator()(A from, B) const {
    if constexpr (std::is_same_v<A, B>)
      return from;
    else
      return from_float<B>(to_float(from));
  }
};
template <class T>
struct Fill {
  static constexpr bool kFrom = false, kTo = false;
  T value;
  __device__ T operator()(T, T) const { return value; }
};

/// to = f(from, to) over rows of `packs` packs of N elements; a thread has kUnroll packs of a row in flight.
template <int kUnroll, int N, class A, class B, class F>
__global__ void __launch_bounds__(kThreads)
    map_rows(const A* from, std::int64_t from_stride, B* to, std::int64_t to_stride, std::int64_t rows,
             std::int64_t packs, F f) {
  const std::int64_t first = std::int64_t{blockIdx.x} * kUnroll * blockDim.x + threadIdx.x;
  const std::int64_t step = std::int64_t{gridDim.y} * blockDim.y;
  for (std::int64_t r = std::int64_t{blockIdx.y} * blockDim.y + threadIdx.y; r < rows; r += step) {
    const A* a = from + r * from_stride;
    B* b = to + r * to_stride;
    Pack<A, N> x[kUnroll];
    Pack<B, N> y[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      const std::int64_t i = first + u * static_cast<int>(blockDim.x);
      if (i >= packs) continue;
      if constexpr (F::kFrom) x[u] = load_pack<N>(a + i * N);
      if constexpr (F::kTo) y[u] = load_pack<N>(b + i * N);
    }
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      const std::int64_t i = first + u * static_cast<int>(blockDim.x);
      if (i >= packs) continue;
#pragma unroll
      for (int k = 0; k < N; ++k) {
        if constexpr (F::kFrom)
          y[u].v[k] = f(x[u].v[k], y[u].v[k]);
        else
          y[u].v[k] = f(y[u].v[k], y[u].v[k]);
      }
      store_pack(b + i * N, y[u]);
    }
  }
}

template <int N, class A, class B, class F>
void launch(const Stream& stream, const A* from, std::int64_t from_stride, B* to, std::int64_t to_stride,
            std::int64_t rows, std::int64_t cols, F f) {
  const std::int64_t packs = cols / N;
  if (rows == 0 || packs == 0) return;
  int width = 1;  // threads along a row; the block's others take more rows
  while (width < kThreads && width < packs) width *= 2;
  const dim3 block(static_cast<unsigned>(width), static_cast<unsigned>(kThreads / width));
  const auto grid_rows = static_cast<unsigned>(std::min<std::int64_t>(ceil_div(rows, block.y), 65535));
  const auto go = [&](auto unroll) {
    constexpr int kUnroll = decltype(unroll)::value;
    const dim3 grid(static_cast<unsigned>(ceil_div(packs, std::int64_t{width} * kUnroll)), grid_rows);
    map_rows<kUnroll, N><<<grid, block, 0, device::native(stream)>>>(from, from_stride, to, to_stride, rows, packs, f);
  };
  if (packs > kThreads)
    go(std::integral_constant<int, 4>{});
  else
    go(std::integral_constant<int, 1>{});
  check_launch();
}

/// to = f(from, to), 16 bytes of the wider type at a time where the views allow. Where f reads no `from`, it is `to`.
template <class A, class B, class F>
void map(const Stream& stream, const View& from, const View& to, F f) {
  constexpr int kPack = 16 / static_cast<int>(std::max(sizeof(A), sizeof(B)));
  const auto* a = static_cast<const A*>(from.data);
  auto* b = static_cast<B*>(to.data);
  if (from.contiguous() && to.contiguous()) {
    const std::int64_t n = to.numel();
    std::int64_t whole = n / kPack * kPack;
    if (reinterpret_cast<std::uintptr_t>(a) % (kPack * sizeof(A)) != 0 ||
        reinterpret_cast<std::uintptr_t>(b) % (kPack * sizeof(B)) != 0)
      whole = 0;
    launch<kPack>(stream, a, 0, b, 0, 1, whole, f);
    launch<1>(stream, a + whole, 0, b + whole, 0, 1, n - whole, f);
  } else if (packs<A, kPack>(from) && packs<B, kPack>(to)) {
    launch<kPack>(stream, a, from.row_stride, b, to.row_stride, to.rows(), to.cols(), f);
  } else {
    launch<1>(stream, a, from.row_stride, b, to.row_stride, to.rows(), to.cols(), f);
  }
}

void check_same(const View& a, const View& b, const char* op) {
  if (!(a.shape == b.shape) || a.shape.rank() < 1)
    fail_run("{}: the shapes {} and {} differ or are empty", op, a.shape.text(), b.shape.text());
}
[[noreturn]] void no_kernel(const char* op, const View& x, const View& y) {
  fail_run("{}: no GPU kernel for {} and {}", op, name_of(x.dtype), name_of(y.dtype));
}

/// Rows of `bytes` bytes of any type: moved as units of 16 bytes, or of the element's size. Strides in bytes.
template <class Unit>
void copy_units(const Stream& stream, const View& from, const View& to) {
  const auto per = static_cast<std::int64_t>(size_of(to.dtype));
  const auto units = [&](std::int64_t elements) { return elements * per / static_cast<std::int64_t>(sizeof(Unit)); };
  launch<1>(stream, static_cast<const Unit*>(from.data), units(from.row_stride), static_cast<Unit*>(to.data),
            units(to.row_stride), to.rows(), units(to.cols()), Convert{});
}
void copy_rows(const Stream& stream, const View& from, const View& to) {
  const std::size_t size = size_of(to.dtype);
  const auto wide = [&](const View& v) {
    return (reinterpret_cast<std::uintptr_t>(v.data) | static_cast<std::uintptr_t>(v.row_stride) * size |
            static_cast<std::uintptr_t>(v.cols()) * size) %
               16 ==
           0;
  };
  if (wide(from) && wide(to)) return copy_units<uint4>(stream, from, to);
  if (size == 8) return copy_units<std::uint64_t>(stream, from, to);
  if (size == 4) return copy_units<std::uint32_t>(stream, from, to);
  if (size == 2) return copy_units<std::uint16_t>(stream, from, to);
  copy_units<std::uint8_t>(stream, from, to);
}

}  // namespace

void add(const Stream& stream, View x, View y) {
  check_same(x, y, "add");
  const auto n = static_cast<double>(y.numel());
  const Span span(stream, "add", {n * static_cast<double>(size_of(x.dtype) + 2 * size_of(y.dtype)), n});
  if (x.dtype == y.dtype && y.dtype == Dtype::f32)
    map<float, float>(stream, x, y, Add{});
  else if (x.dtype == y.dtype && y.dtype == Dtype::bf16)
    map<bf16, bf16>(stream, x, y, Add{});
  else if (x.dtype == y.dtype && y.dtype == Dtype::i64)
    map<std::int64_t, std::int64_t>(stream, x, y, Add{});
  else if (x.dtype == Dtype::bf16 && y.dtype == Dtype::f32)
    map<bf16, float>(stream, x, y, Add{});
  else
    no_kernel("add", x, y);
}

void scale(const Stream& stream, View x, float factor) {
  check_same(x, x, "scale");
  const Span span(stream, "scale", {2.0 * static_cast<double>(x.bytes()), static_cast<double>(x.numel())});
  with_type(x.dtype, "scale", [&](auto t) { map<decltype(t), decltype(t)>(stream, x, x, Scale{factor}); });
}

void copy(const Stream& stream, View from, View to) {
  check_same(from, to, "copy");
  const Span span(stream, "copy", {static_cast<double>(from.bytes() + to.bytes()), 0});
  if (to.numel() == 0) return;
  if (from.dtype == to.dtype) {
    if (from.contiguous() && to.contiguous())
      device::check(cudaMemcpyAsync(to.data, from.data, to.bytes(), cudaMemcpyDeviceToDevice, device::native(stream)));
    else
      copy_rows(stream, from, to);
  } else if (from.dtype == Dtype::f32 && to.dtype == Dtype::bf16) {
    map<float, bf16>(stream, from, to, Convert{});
  } else if (from.dtype == Dtype::bf16 && to.dtype == Dtype::f32) {
    map<bf16, float>(stream, from, to, Convert{});
  } else {
    no_kernel("copy", from, to);
  }
}

void fill(const Stream& stream, View x, float value) {
  check_same(x, x, "fill");
  const Span span(stream, "fill", {static_cast<double>(x.bytes()), 0});
  if (x.dtype == Dtype::i32)
    return map<std::int32_t, std::int32_t>(stream, x, x, Fill<std::int32_t>{static_cast<std::int32_t>(value)});
  with_type(x.dtype, "fill", [&](auto t) {
    using T = decltype(t);
    if constexpr (std::is_same_v<T, bf16>)
      map<T, T>(stream, x, x, Fill<T>{__float2bfloat16(value)});
    else
      map<T, T>(stream, x, x, Fill<T>{value});
  });
}

}  // namespace eddy::kernels::cuda
