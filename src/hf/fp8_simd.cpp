#include "hf/fp8_simd.h"

#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace eddy::hf::simd {

#ifdef __AVX2__
namespace {

inline __m256i all8(int v) {
  return _mm256_set1_epi8(static_cast<char>(v));
}
inline __m256i all16(int v) {
  return _mm256_set1_epi16(static_cast<short>(v));
}
inline __m256i all32(std::uint32_t v) {
  return _mm256_set1_epi32(static_cast<int>(v));
}

/// Eight float32 numbers' bits to bfloat16's, ties to even; in 32-bit lanes.
inline __m256i rounded(__m256 v) {
  const __m256i u = _mm256_castps_si256(v);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), all32(1));
  return _mm256_srli_epi32(_mm256_add_epi32(u, _mm256_add_epi32(odd, all32(0x7fff))), 16);
}

/// Eight bytes of e4m3, in 32-bit lanes, from float32: see narrow() in fp8.cpp, of which NaN is left out.
inline __m256i narrowed(__m256 v) {
  const __m256i u = _mm256_castps_si256(v);
  const __m256i held = _mm256_min_epu32(_mm256_and_si256(u, all32(0x7fffffffu)), all32(0x43e00000u));  // at most 448
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(held, 20), all32(1));
  // less 120 of the exponent, in the same addition: it does not touch the digits that are rounded
  const __m256i normal =
      _mm256_srli_epi32(_mm256_add_epi32(_mm256_add_epi32(held, odd), all32(0x7ffffu - (120u << 23))), 20);
  const __m256i subnormal = _mm256_and_si256(
      _mm256_castps_si256(_mm256_add_ps(_mm256_castsi256_ps(held), _mm256_set1_ps(16384.0f))), all32(0xff));
  const __m256i number = _mm256_blendv_epi8(normal, subnormal, _mm256_cmpgt_epi32(all32(0x3c800000u), held));
  return _mm256_or_si256(number, _mm256_and_si256(_mm256_srli_epi32(u, 24), all32(0x80)));
}

inline __m256 widened(const std::uint16_t* bf16) {
  const __m128i eight = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bf16));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(eight), 16));
}

template <class Quotient>
inline std::int64_t quantise(const std::uint16_t* in, std::int64_t n, std::uint8_t* q, const Quotient& quotient) {
  std::int64_t i = 0;
  for (; i + 32 <= n; i += 32) {
    const __m256i a = narrowed(quotient(widened(in + i))), b = narrowed(quotient(widened(in + i + 8)));
    const __m256i c = narrowed(quotient(widened(in + i + 16))), d = narrowed(quotient(widened(in + i + 24)));
    // the packing interleaves the halves of the registers
    const __m256i packed = _mm256_packus_epi16(_mm256_packus_epi32(a, b), _mm256_packus_epi32(c, d));
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(q + i), _mm256_permutevar8x32_epi32(packed, order));
  }
  return i;
}

}  // namespace

/// Multiplying by a power of two changes no digits: (1 + m / 8) * 2^(e - 7) * scale has the digits of
/// (1 + m / 8) * scale, rounded once. So the bfloat16 products of eight mantissas, less 7 of the exponent, stand in a
/// register, beside those of e4m3's eight subnormals; they are looked up by the mantissa, and the exponent is added.
std::int64_t dequantise(const std::uint8_t* q, std::int64_t n, float scale, std::uint16_t* out) {
  const __m256 s = _mm256_set1_ps(scale), m = _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256 mantissas = _mm256_add_ps(_mm256_set1_ps(1), _mm256_mul_ps(m, _mm256_set1_ps(0.125f)));
  const __m256i normals = _mm256_sub_epi32(rounded(_mm256_mul_ps(mantissas, s)), all32(7u << 7));
  const __m256i subnormals = rounded(_mm256_mul_ps(_mm256_mul_ps(m, _mm256_set1_ps(0x1p-9f)), s));
  const __m256i both = _mm256_permute4x64_epi64(_mm256_packus_epi32(normals, subnormals), 0xd8);
  // their low and high bytes, the sixteen of each in both halves of a register
  const __m256i low8 = _mm256_and_si256(both, all16(0xff)), high8 = _mm256_srli_epi16(both, 8);
  const __m256i low = _mm256_permute4x64_epi64(_mm256_packus_epi16(low8, low8), 0x88);
  const __m256i high = _mm256_permute4x64_epi64(_mm256_packus_epi16(high8, high8), 0x88);
  const __m256i zero = _mm256_setzero_si256();
  __m256i nans = zero;
  std::int64_t i = 0;
  for (; i + 32 <= n; i += 32) {
    // so ordered that unpacking, which stays within the halves, gives sixteen and sixteen elements
    const __m256i x = _mm256_permute4x64_epi64(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(q + i)), 0xd8);
    const __m256i is_subnormal = _mm256_cmpeq_epi8(_mm256_and_si256(x, all8(0x78)), zero);
    const __m256i where = _mm256_or_si256(_mm256_and_si256(x, all8(7)), _mm256_and_si256(is_subnormal, all8(8)));
    const __m256i a = _mm256_shuffle_epi8(low, where), b = _mm256_shuffle_epi8(high, where);
    nans = _mm256_or_si256(nans, _mm256_cmpeq_epi8(_mm256_and_si256(x, all8(0x7f)), all8(0x7f)));
    const auto finish = [&](__m256i digits, __m256i element) {  // the element stands in the word's high byte
      const __m256i exponent = _mm256_srli_epi16(_mm256_and_si256(element, all16(0x7800)), 4);
      const __m256i sign = _mm256_and_si256(element, all16(0x8000));
      return _mm256_or_si256(_mm256_add_epi16(digits, exponent), sign);
    };
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i),
                        finish(_mm256_unpacklo_epi8(a, b), _mm256_unpacklo_epi8(zero, x)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i + 16),
                        finish(_mm256_unpackhi_epi8(a, b), _mm256_unpackhi_epi8(zero, x)));
  }
  if (_mm256_movemask_epi8(nans))
    for (std::int64_t k = 0; k < i; ++k)
      if ((q[k] & 0x7f) == 0x7f) out[k] = static_cast<std::uint16_t>(0x7fc0 | (q[k] & 0x80) << 8);
  return i;
}

std::int64_t divide(const std::uint16_t* bf16, std::int64_t n, float scale, std::uint8_t* q) {
  const __m256 s = _mm256_set1_ps(scale);
  return quantise(bf16, n, q, [s](__m256 v) { return _mm256_div_ps(v, s); });
}

std::int64_t multiply(const std::uint16_t* bf16, std::int64_t n, float inverse, std::uint8_t* q) {
  const __m256 s = _mm256_set1_ps(inverse);
  return quantise(bf16, n, q, [s](__m256 v) { return _mm256_mul_ps(v, s); });
}

#else

std::int64_t dequantise(const std::uint8_t*, std::int64_t, float, std::uint16_t*) {
  return 0;
}
std::int64_t divide(const std::uint16_t*, std::int64_t, float, std::uint8_t*) {
  return 0;
}
std::int64_t multiply(const std::uint16_t*, std::int64_t, float, std::uint8_t*) {
  return 0;
}

#endif

}  // namespace eddy::hf::simd
