#include "comm/reduce_blocks.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace eddy::comm {
namespace {

constexpr std::size_t kTile = 1024;  // accumulators that stay in the first-level cache

struct Bf16 {
  std::uint16_t bits;
};
template <class T>
T widen(T v) {
  return v;
}
float widen(Bf16 v) {
  return bf16_to_float(v.bits);
}
template <class T>
void narrow(T v, T& out) {
  out = v;
}
void narrow(float v, Bf16& out) {
  out.bits = float_to_bf16(v);
}

template <class T, class F>
void reduce(std::span<const void* const> in, void* out, std::size_t count, F&& combine) {
  using A = decltype(widen(T{}));
  std::array<A, kTile> sum;
  for (std::size_t begin = 0; begin < count; begin += kTile) {
    const std::size_t n = std::min(kTile, count - begin);
    for (std::size_t r = 0; r < in.size(); ++r) {
      const T* block = static_cast<const T*>(in[r]) + begin;
      if (r == 0)
        for (std::size_t i = 0; i < n; ++i) sum[i] = widen(block[i]);
      else
        for (std::size_t i = 0; i < n; ++i) sum[i] = static_cast<A>(combine(sum[i], widen(block[i])));
    }
    T* to = static_cast<T*>(out) + begin;
    for (std::size_t i = 0; i < n; ++i) narrow(sum[i], to[i]);
  }
}

template <class T>
void reduce(std::span<const void* const> in, void* out, std::size_t count, Reduce op) {
  switch (op) {
    case Reduce::sum:
      return reduce<T>(in, out, count, [](auto a, auto b) { return a + b; });
    case Reduce::max:
      return reduce<T>(in, out, count, [](auto a, auto b) { return a < b ? b : a; });
    case Reduce::min:
      return reduce<T>(in, out, count, [](auto a, auto b) { return b < a ? b : a; });
  }
}

}  // namespace

void require_reducible(Dtype dtype) {
  if (dtype == Dtype::f8e4m3)
    fail_run("a reduction over ranks of {} is not defined: convert to f32 or bf16 first", name_of(dtype));
}

void reduce_blocks(std::span<const void* const> in, void* out, std::size_t count, Dtype dtype, Reduce op) {
  switch (dtype) {
    case Dtype::f32:
      return reduce<float>(in, out, count, op);
    case Dtype::f64:
      return reduce<double>(in, out, count, op);
    case Dtype::bf16:
      return reduce<Bf16>(in, out, count, op);
    case Dtype::i32:
      return reduce<std::int32_t>(in, out, count, op);
    case Dtype::i64:
      return reduce<std::int64_t>(in, out, count, op);
    case Dtype::u8:
      return reduce<std::uint8_t>(in, out, count, op);
    case Dtype::f8e4m3:
      return require_reducible(dtype);
  }
}

}  // namespace eddy::comm
