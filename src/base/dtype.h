#pragma once
// Element types of tensors, files and messages.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/error.h"

namespace eddy {

enum class Dtype : std::uint8_t { f32, f64, bf16, f8e4m3, i32, i64, u8 };

constexpr std::size_t size_of(Dtype t) {
  switch (t) {
    case Dtype::f64:
    case Dtype::i64:
      return 8;
    case Dtype::f32:
    case Dtype::i32:
      return 4;
    case Dtype::bf16:
      return 2;
    default:
      return 1;
  }
}
constexpr const char* name_of(Dtype t) {
  switch (t) {
    case Dtype::f32:
      return "f32";
    case Dtype::f64:
      return "f64";
    case Dtype::bf16:
      return "bf16";
    case Dtype::f8e4m3:
      return "f8e4m3";
    case Dtype::i32:
      return "i32";
    case Dtype::i64:
      return "i64";
    default:
      return "u8";
  }
}
/// "f32" → Dtype::f32; throws Error (status 2) naming `what` for an unknown name.
inline Dtype parse_dtype(const std::string& name, const std::string& what) {
  for (Dtype t : {Dtype::f32, Dtype::f64, Dtype::bf16, Dtype::f8e4m3, Dtype::i32, Dtype::i64, Dtype::u8})
    if (name == name_of(t)) return t;
  fail_input("{}: unknown data type '{}'", what, name);
}

template <class T>
inline constexpr Dtype dtype_of = [] {
  static_assert(sizeof(T) == 0, "no such element type");
  return Dtype::u8;
}();
template <>
inline constexpr Dtype dtype_of<float> = Dtype::f32;
template <>
inline constexpr Dtype dtype_of<double> = Dtype::f64;
template <>
inline constexpr Dtype dtype_of<std::int32_t> = Dtype::i32;
template <>
inline constexpr Dtype dtype_of<std::int64_t> = Dtype::i64;
template <>
inline constexpr Dtype dtype_of<std::uint8_t> = Dtype::u8;

/// bfloat16 bits → float (exact).
inline float bf16_to_float(std::uint16_t bits) {
  const std::uint32_t u = static_cast<std::uint32_t>(bits) << 16;
  float f;
  static_assert(sizeof f == sizeof u);
  __builtin_memcpy(&f, &u, sizeof f);
  return f;
}
/// float → bfloat16 bits, round to nearest even; NaN stays NaN.
inline std::uint16_t float_to_bf16(float f) {
  std::uint32_t u;
  __builtin_memcpy(&u, &f, sizeof u);
  if ((u & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((u >> 16) | 0x40);
  return static_cast<std::uint16_t>((u + 0x7fffu + ((u >> 16) & 1)) >> 16);
}

}  // namespace eddy
