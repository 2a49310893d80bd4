#include "hf/fp8.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "hf/fp8_simd.h"

namespace eddy::hf {
namespace {

std::uint32_t bits_of(float f) {
  std::uint32_t u;
  __builtin_memcpy(&u, &f, 4);
  return u;
}
float float_of(std::uint32_t u) {
  float f;
  __builtin_memcpy(&f, &u, 4);
  return f;
}

/// Exponent and mantissa move to where a float32 has them, the exponent's bias from 7 to 127. Without branches, for the
/// vectoriser, and without float32 subnormals, which cost a processor dearly: one of e4m3, m / 8 * 2^-6, is made as
/// (1 + m / 8) * 2^-6 - 2^-6.
inline float widen(std::uint8_t q) {
  const std::uint32_t magnitude = q & 0x7fu, sign = static_cast<std::uint32_t>(q & 0x80u) << 24;
  const std::uint32_t moved = (magnitude << 20) + (120u << 23);
  const float subnormal = float_of(moved + (1u << 23)) - 0x1p-6f;
  const std::uint32_t number = magnitude < 8 ? bits_of(subnormal) : moved;
  return float_of((magnitude == 0x7f ? 0x7fc00000u : number) | sign);
}

inline std::uint16_t round_to_bf16(float f) {
  const std::uint32_t u = bits_of(f);
  const std::uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1)) >> 16, nan = (u >> 16) | 0x40;
  return static_cast<std::uint16_t>((u & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
}

inline std::uint8_t narrow(float f) {
  const std::uint32_t u = bits_of(f), sign = (u >> 24) & 0x80u, magnitude = u & 0x7fffffffu;
  const std::uint32_t held = magnitude < 0x43e00000u ? magnitude : 0x43e00000u;  // at most 448
  const std::uint32_t normal = ((held + 0x7ffffu + ((held >> 20) & 1)) >> 20) - (120u << 3);
  // below 2^-6 all numbers are multiples of 2^-9, which is the last place of 2^14
  const std::uint32_t subnormal = bits_of(float_of(held) + 16384.0f) & 0xffu;
  const std::uint32_t number = held < 0x3c800000u ? subnormal : normal;
  return static_cast<std::uint8_t>((magnitude > 0x7f800000u ? 0x7fu : number) | sign);
}

void scaled(const std::uint8_t* __restrict q, std::int64_t n, float scale, std::uint16_t* __restrict out) {
  for (std::int64_t i = is_usable_scale(scale) ? simd::dequantise(q, n, scale, out) : 0; i < n; ++i)
    out[i] = round_to_bf16(widen(q[i]) * scale);
}
void scaled(const std::uint8_t* __restrict q, std::int64_t n, float scale, float* __restrict out) {
  for (std::int64_t i = 0; i < n; ++i)
    out[i] = float_of(static_cast<std::uint32_t>(round_to_bf16(widen(q[i]) * scale)) << 16);
}

template <class T>
void dequantise_any(const std::uint8_t* q, const float* scales, std::int64_t cols, std::int64_t first,
                    std::int64_t count, T* out) {
  const std::int64_t across = fp8_blocks(cols);
  std::int64_t row = first / cols, col = first % cols;
  while (count > 0) {
    const std::int64_t n = std::min({kFp8Block - col % kFp8Block, cols - col, count});
    scaled(q, n, scales[row / kFp8Block * across + col / kFp8Block], out);
    q += n;
    out += n;
    count -= n;
    col += n;
    if (col == cols) {
      col = 0;
      ++row;
    }
  }
}

inline float as_float(std::uint16_t bits) {
  return float_of(static_cast<std::uint32_t>(bits) << 16);
}
inline float as_float(float value) {
  return value;
}

/// The bits, as float32, of the largest magnitude: above 0x7f7fffff for NaN and infinity.
std::uint32_t largest(const float* __restrict values, std::int64_t n) {
  std::uint32_t most = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const std::uint32_t magnitude = bits_of(values[i]) & 0x7fffffffu;
    most = magnitude > most ? magnitude : most;
  }
  return most;
}
std::uint32_t largest(const std::uint16_t* __restrict values, std::int64_t n) {
  std::uint16_t most = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const auto magnitude = static_cast<std::uint16_t>(values[i] & 0x7fff);
    most = magnitude > most ? magnitude : most;
  }
  return static_cast<std::uint32_t>(most) << 16;
}

/// How many of a row's first elements the vector loops have done.
std::int64_t divide_vectors(const std::uint16_t* in, std::int64_t n, float scale, std::uint8_t* q) {
  return simd::divide(in, n, scale, q);
}
std::int64_t divide_vectors(const float*, std::int64_t, float, std::uint8_t*) {
  return 0;
}
std::int64_t multiply_vectors(const std::uint16_t* in, std::int64_t n, float inverse, std::uint8_t* q) {
  return simd::multiply(in, n, inverse, q);
}
std::int64_t multiply_vectors(const float*, std::int64_t, float, std::uint8_t*) {
  return 0;
}

template <class T>
void divide(const T* __restrict values, std::int64_t n, float scale, bool finite, std::uint8_t* __restrict q) {
  for (std::int64_t i = finite ? divide_vectors(values, n, scale, q) : 0; i < n; ++i)
    q[i] = narrow(as_float(values[i]) / scale);
}

/// q of values that may be products of this scale: were they, their quotient is within 2^-8 of e4m3's number, and the
/// next one 2^-4 away, so that a factor instead of a division finds it.
template <class T>
void multiply(const T* __restrict values, std::int64_t n, float inverse, std::uint8_t* __restrict q) {
  for (std::int64_t i = multiply_vectors(values, n, inverse, q); i < n; ++i)
    q[i] = narrow(as_float(values[i]) * inverse);
}

/// Does dequantising give these values, bit for bit?
template <class T>
bool gives_back(const T* __restrict values, const std::uint8_t* q, std::int64_t n, float scale) {
  std::uint16_t again[kFp8Block];
  scaled(q, n, scale, again);
  std::uint32_t others = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    if constexpr (sizeof(T) == 2)
      others |= again[i] ^ values[i];
    else
      others |= (static_cast<std::uint32_t>(again[i]) << 16) ^ bits_of(values[i]);
  }
  return others == 0;
}

float new_scale(float amax, bool power_of_two) {
  if (amax == 0) return 1;
  const float scale = amax / kFp8Largest;
  if (!power_of_two) return scale;
  return std::exp2(std::ceil(std::log2(scale)));
}

/// Up to 128 rows of a matrix with the scales kept: which blocks do not give their values back, or have no usable
/// scale. Row after row over all blocks, as the values lie in memory; the q of those blocks are to be made anew.
template <class T>
std::vector<bool> changed_blocks(const T* in, std::int64_t rows, std::int64_t cols, const float* kept,
                                 std::uint8_t* q) {
  std::vector<bool> changed;
  for (std::int64_t b = 0; b < fp8_blocks(cols); ++b) changed.push_back(!is_usable_scale(kept[b]));
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < cols; c += kFp8Block) {
      const auto b = static_cast<std::size_t>(c / kFp8Block);
      if (changed[b]) continue;
      const std::int64_t w = std::min(kFp8Block, cols - c), at = r * cols + c;
      multiply(in + at, w, 1 / kept[b], q + at);
      changed[b] = !gives_back(in + at, q + at, w, kept[b]);
    }
  return changed;
}

template <class T>
bool quantise_any(const T* in, std::int64_t rows, std::int64_t cols, const QuantiseOptions& how, std::uint8_t* q,
                  float* scales) {
  const std::int64_t across = fp8_blocks(cols);
  bool finite = true;
  for (std::int64_t r0 = 0; r0 < rows; r0 += kFp8Block) {
    const std::int64_t h = std::min(kFp8Block, rows - r0), first = r0 / kFp8Block * across;
    std::vector<bool> changed(static_cast<std::size_t>(across), true);
    if (how.kept) changed = changed_blocks(in + r0 * cols, h, cols, how.kept + first, q + r0 * cols);
    for (std::int64_t c0 = 0; c0 < cols; c0 += kFp8Block) {
      const std::int64_t w = std::min(kFp8Block, cols - c0), at = first + c0 / kFp8Block;
      if (!changed[static_cast<std::size_t>(c0 / kFp8Block)]) {
        scales[at] = how.kept[at];
        continue;
      }
      const auto each_row = [&](auto&& visit) {
        for (std::int64_t r = r0; r < r0 + h; ++r) visit(in + r * cols + c0, q + r * cols + c0);
      };
      std::uint32_t most = 0;
      each_row([&](const T* values, std::uint8_t*) { most = std::max(most, largest(values, w)); });
      finite = finite && most < 0x7f800000u;
      // an all-zero block that had a scale of its own keeps it, whatever that is
      const float scale = most == 0 && how.kept ? how.kept[at] : new_scale(float_of(most), how.power_of_two);
      scales[at] = scale;
      each_row([&](const T* values, std::uint8_t* out) {
        divide(values, w, most == 0 ? 1.0f : scale, most < 0x7f800000u, out);
      });
    }
  }
  return finite;
}

}  // namespace

std::string weight_of_scale(const std::string& name) {
  constexpr std::string_view kSuffix = "_scale_inv";
  return name.ends_with(kSuffix) ? name.substr(0, name.size() - kSuffix.size()) : "";
}

bool is_quantised_in_fp8(std::string_view name) {
  if (!name.ends_with(".weight")) return false;
  name.remove_suffix(7);
  for (const std::string_view kind : {".q_a_proj", ".q_b_proj", ".q_proj", ".kv_a_proj_with_mqa", ".kv_b_proj",
                                      ".o_proj", ".gate_proj", ".up_proj", ".down_proj"})
    if (name.ends_with(kind)) return true;
  return false;
}

float fp8_to_float(std::uint8_t bits) {
  return widen(bits);
}
std::uint8_t float_to_fp8(float value) {
  return narrow(value);
}

void dequantise(const std::uint8_t* q, const float* scales, std::int64_t cols, std::int64_t first, std::int64_t count,
                std::uint16_t* out) {
  dequantise_any(q, scales, cols, first, count, out);
}
void dequantise(const std::uint8_t* q, const float* scales, std::int64_t cols, std::int64_t first, std::int64_t count,
                float* out) {
  dequantise_any(q, scales, cols, first, count, out);
}

bool quantise(const std::uint16_t* bf16, std::int64_t rows, std::int64_t cols, const QuantiseOptions& options,
              std::uint8_t* q, float* scales) {
  return quantise_any(bf16, rows, cols, options, q, scales);
}
bool quantise(const float* values, std::int64_t rows, std::int64_t cols, const QuantiseOptions& options,
              std::uint8_t* q, float* scales) {
  return quantise_any(values, rows, cols, options, q, scales);
}

bool is_usable_scale(float scale) {
  // the smallest product is 2^-9 and the largest 448 times the scale: all of them normal bfloat16 numbers
  return scale >= 0x1p-117f && scale <= 0x1p118f;
}

}  // namespace eddy::hf
