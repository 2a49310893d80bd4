#pragma once
// Elementary functions written so that loops over them vectorise: glibc's own vector versions come only with
// -ffast-math, which would also drop the checks for NaN and infinity.
#include <bit>
#include <cstdint>

namespace eddy::kernels {

/// e^x, within 1.1 ulp of the exact value over the whole range (subnormal results, infinities and NaN included).
/// Range reduction x = n ln 2 + r, |r| <= ln 2 / 2, and the polynomial of Cephes' expf (Moshier 1992).
inline float exp_f32(float x) {
  x = x < -104.0f ? -104.0f : x;         // exp(-104) rounds to 0; NaN fails both comparisons and goes on
  x = x > 89.0f ? 89.0f : x;             // exp(89) is infinite
  constexpr float kRound = 12582912.0f;  // 1.5 · 2^23: adding it leaves the nearest integer in the low bits
  const float shifted = x * 1.44269504088896341f + kRound;
  const float n = shifted - kRound;
  const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const float y = p * (r * r) + r + 1.0f;
  // 2^n in two factors: n itself lies in [-150, 129], beyond what one exponent holds.
  const std::int32_t k =
      static_cast<std::int32_t>(std::bit_cast<std::uint32_t>(shifted) - std::bit_cast<std::uint32_t>(kRound));
  const std::int32_t half = k >> 1;
  const float a = std::bit_cast<float>(static_cast<std::uint32_t>(half + 127) << 23);
  const float b = std::bit_cast<float>(static_cast<std::uint32_t>(k - half + 127) << 23);
  return y * a * b;
}

/// 1 / (1 + e^-x), within 3 ulp; 0 and 1 at the ends, NaN stays NaN.
inline float sigmoid_f32(float x) {
  return 1.0f / (1.0f + exp_f32(-x));
}

/// cos and sin of an angle in radians, |angle| < 2^31, in double: within 1e-12 plus 1e-16 · |angle|.
/// Reduction by multiples of pi/2 (two-part constant), Taylor series to x^13 and x^14 on [-pi/4, pi/4].
struct CosSin {
  double cos, sin;
};
inline CosSin cos_sin(double angle) {
  constexpr double kRound = 6755399441055744.0;  // 1.5 · 2^52
  const double shifted = angle * 0.63661977236758134308 + kRound;
  const double n = shifted - kRound;
  const double r = (angle - n * 1.57079632673412561417e+00) - n * 6.07710050650619224932e-11;
  const double z = r * r;
  double s = 1.0 / 6227020800;
  s = s * z - 1.0 / 39916800;
  s = s * z + 1.0 / 362880;
  s = s * z - 1.0 / 5040;
  s = s * z + 1.0 / 120;
  s = s * z - 1.0 / 6;
  s = r + r * z * s;
  double c = -1.0 / 87178291200;
  c = c * z + 1.0 / 479001600;
  c = c * z - 1.0 / 3628800;
  c = c * z + 1.0 / 40320;
  c = c * z - 1.0 / 720;
  c = c * z + 1.0 / 24;
  c = c * z - 0.5;
  c = 1.0 + z * c;
  const std::uint64_t quadrant = std::bit_cast<std::uint64_t>(shifted);
  const double cosine = (quadrant & 1) ? s : c, sine = (quadrant & 1) ? c : s;
  return {((quadrant + 1) & 2) ? -cosine : cosine, (quadrant & 2) ? -sine : sine};
}

}  // namespace eddy::kernels
