#pragma once
// The loops of fp8.cpp in AVX2, thirty-two elements at a time. Each does the first `done` elements of a row's part and
// returns that number, a multiple of 32 (0 without AVX2): the caller's plain loops, which the tests compare with the
// definition, do the rest.
#include <cstdint>

namespace eddy::hf::simd {

/// bf16(float32(q) * scale). The scale must be usable (is_usable_scale), or nothing is done right.
std::int64_t dequantise(const std::uint8_t* q, std::int64_t n, float scale, std::uint16_t* out);
/// Nearest e4m3 number to value / scale, ties to even, beyond 448 saturated. The values must be finite.
std::int64_t divide(const std::uint16_t* bf16, std::int64_t n, float scale, std::uint8_t* q);
/// The same of value * inverse.
std::int64_t multiply(const std::uint16_t* bf16, std::int64_t n, float inverse, std::uint8_t* q);

}  // namespace eddy::hf::simd
