#pragma once
// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11).
// A number is a pure function of a 64-bit key and a 128-bit counter, so no layout, order or recomputation changes it.
#include <array>
#include <cmath>
#include <cstdint>

namespace eddy {

using Philox = std::array<std::uint32_t, 4>;

/// Four 32-bit random words for (key, counter).
inline Philox philox(std::uint64_t key, std::uint64_t counter_low, std::uint64_t counter_high = 0) {
  std::uint32_t k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  Philox c{static_cast<std::uint32_t>(counter_low), static_cast<std::uint32_t>(counter_low >> 32),
           static_cast<std::uint32_t>(counter_high), static_cast<std::uint32_t>(counter_high >> 32)};
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = 0xD2511F53ull * c[0], b = 0xCD9E8D57ull * c[2];
    c = {static_cast<std::uint32_t>(b >> 32) ^ c[1] ^ k0, static_cast<std::uint32_t>(b),
         static_cast<std::uint32_t>(a >> 32) ^ c[3] ^ k1, static_cast<std::uint32_t>(a)};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}
/// Uniform in [0, 1).
inline double uniform01(std::uint32_t word) {
  return word * 0x1p-32;
}
/// Two independent standard normals from four words (Box–Muller).
inline std::array<double, 2> normal2(const Philox& w) {
  const double u = (w[0] + 0.5) * 0x1p-32, v = w[1] * 0x1p-32, r = std::sqrt(-2 * std::log(u));
  return {r * std::cos(6.283185307179586 * v), r * std::sin(6.283185307179586 * v)};
}
/// A well-mixed 64-bit value of (a, b): derives independent keys from a seed and a name's hash.
inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  std::uint64_t x = a + 0x9E3779B97F4A7C15ull * (b + 1);
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

}  // namespace eddy
