#include "hf/fp8.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#ifdef __AVX2__
#include <immintrin.h>
#endif

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

#ifdef __AVX2__
/// Multiplying by a power of two changes no digits: (1 + m / 8) * 2^(e - 7) * scale has the digits of
/// (1 + m / 8) * scale, rounded once. So eight bfloat16 products stand in a register, looked up by the mantissa, and
/// the exponent is added; eight more are those of e4m3's subnormals. Sixteen elements at a time; tells how many it did.
/// The scale must be usable: products are then normal numbers.
std::int64_t scaled_by_table(const std::uint8_t* q, std::int64_t n, float scale, std::uint16_t* out) {
  alignas(16) std::uint16_t normals[8], subnormals[8];
  for (std::uint8_t m = 0; m < 8; ++m) {
    normals[m] = static_cast<std::uint16_t>(round_to_bf16(widen(0x38 | m) * scale) - (7 << 7));
    subnormals[m] = round_to_bf16(widen(m) * scale);
  }
  const auto table = [](const std::uint16_t* t) {
    return _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(t)));
  };
  const auto all = [](int bits) { return _mm256_set1_epi16(static_cast<short>(bits)); };
  const __m256i normal = table(normals), subnormal = table(subnormals);
  std::int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const __m256i x = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(q + i)));
    const __m256i mantissa = _mm256_and_si256(x, all(7)), exponent = _mm256_and_si256(x, all(0x78));
    // bytes 2m and 2m + 1 of the tables
    const __m256i where = _mm256_add_epi16(_mm256_mullo_epi16(mantissa, all(0x0202)), all(0x0100));
    __m256i y = _mm256_add_epi16(_mm256_shuffle_epi8(normal, where), _mm256_slli_epi16(exponent, 4));
    y = _mm256_blendv_epi8(y, _mm256_shuffle_epi8(subnormal, where),
                           _mm256_cmpeq_epi16(exponent, _mm256_setzero_si256()));
    y = _mm256_blendv_epi8(y, all(0x7fc0), _mm256_cmpeq_epi16(_mm256_and_si256(x, all(0x7f)), all(0x7f)));
    y = _mm256_or_si256(y, _mm256_slli_epi16(_mm256_and_si256(x, all(0x80)), 8));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), y);
  }
  return i;
}
#else
std::int64_t scaled_by_table(const std::uint8_t*, std::int64_t, float, std::uint16_t*) {
  return 0;
}
#endif

void scaled(const std::uint8_t* __restrict q, std::int64_t n, float scale, std::uint16_t* __restrict out) {
  for (std::int64_t i = is_usable_scale(scale) ? scaled_by_table(q, n, scale, out) : 0; i < n; ++i)
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

/// Up to 128 values as float32.
template <class T>
void load(const T* __restrict in, std::int64_t n, float* __restrict out) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = as_float(in[i]);
}

/// The bits of the largest magnitude: above 0x7f7fffff for NaN and infinity.
std::uint32_t largest(const float* __restrict values, std::int64_t n) {
  std::uint32_t most = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const std::uint32_t magnitude = bits_of(values[i]) & 0x7fffffffu;
    most = magnitude > most ? magnitude : most;
  }
  return most;
}

void divide(const float* __restrict values, std::int64_t n, float scale, std::uint8_t* __restrict q) {
  for (std::int64_t i = 0; i < n; ++i) q[i] = narrow(values[i] / scale);
}

/// q of values that may be products of this scale: were they, their quotient is within 2^-8 of e4m3's number, and the
/// next one 2^-4 away, so that a factor instead of a division finds it.
void multiply(const float* __restrict values, std::int64_t n, float inverse, std::uint8_t* __restrict q) {
  for (std::int64_t i = 0; i < n; ++i) q[i] = narrow(values[i] * inverse);
}

/// Does dequantising give these values, bit for bit?
bool gives_back(const float* __restrict values, const std::uint8_t* q, std::int64_t n, float scale) {
  std::uint16_t again[kFp8Block];
  scaled(q, n, scale, again);
  std::uint32_t others = 0;
  for (std::int64_t i = 0; i < n; ++i) others |= (static_cast<std::uint32_t>(again[i]) << 16) ^ bits_of(values[i]);
  return others == 0;
}

float new_scale(float amax, bool power_of_two) {
  if (amax == 0) return 1;
  const float scale = amax / kFp8Largest;
  if (!power_of_two) return scale;
  return std::exp2(std::ceil(std::log2(scale)));
}

template <class T>
bool quantise_any(const T* in, std::int64_t rows, std::int64_t cols, const QuantiseOptions& how, std::uint8_t* q,
                  float* scales) {
  alignas(64) float block[kFp8Block * kFp8Block];
  const std::int64_t across = fp8_blocks(cols);
  bool finite = true;
  for (std::int64_t r0 = 0; r0 < rows; r0 += kFp8Block)
    for (std::int64_t c0 = 0; c0 < cols; c0 += kFp8Block) {
      const std::int64_t h = std::min(kFp8Block, rows - r0), w = std::min(kFp8Block, cols - c0);
      const std::int64_t at = r0 / kFp8Block * across + c0 / kFp8Block;
      for (std::int64_t r = 0; r < h; ++r) load(in + (r0 + r) * cols + c0, w, block + r * kFp8Block);
      const auto each_row = [&](auto&& visit) {
        for (std::int64_t r = 0; r < h; ++r) visit(block + r * kFp8Block, q + (r0 + r) * cols + c0);
      };
      if (how.kept && is_usable_scale(how.kept[at])) {
        const float scale = how.kept[at], inverse = 1 / scale;
        bool same = true;
        for (std::int64_t r = 0; r < h && same; ++r) {
          const float* values = block + r * kFp8Block;
          std::uint8_t* out = q + (r0 + r) * cols + c0;
          multiply(values, w, inverse, out);
          same = gives_back(values, out, w, scale);
        }
        scales[at] = scale;
        if (same) continue;
      }
      std::uint32_t most = 0;
      each_row([&](const float* values, std::uint8_t*) { most = std::max(most, largest(values, w)); });
      finite = finite && most < 0x7f800000u;
      // an all-zero block that had a scale of its own keeps it, whatever that is
      const float scale = most == 0 && how.kept ? how.kept[at] : new_scale(float_of(most), how.power_of_two);
      scales[at] = scale;
      each_row([&](const float* values, std::uint8_t* out) { divide(values, w, most == 0 ? 1.0f : scale, out); });
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
