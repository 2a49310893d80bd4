#pragma once
// Rotary angles inside a kernel: rope.cu's, and those of what rotates while it moves (attention/mla_split.cu).
#include <algorithm>

#include "kernels/common/cuda.cuh"
#include "kernels/rope/rope.h"

namespace eddy::kernels::cuda {

constexpr int kMaxPairs = 256;  // what the frequencies take of a launch's parameters: 2 KiB

/// A kernel's parameter: `const __grid_constant__ Rotation`.
struct Rotation {
  double quarters[kMaxPairs];  ///< of a turn from one position to the next: inverse frequency · 2 / π
  float magnitude, direction;  ///< direction: 1, or -1 to turn back
};
inline Rotation rotation_of(const RopeTable& table, bool inverse, const char* op) {
  if (table.inverse_frequency.size() > kMaxPairs)
    fail_run("{}: no GPU kernel for {} pairs (at most {})", op, table.inverse_frequency.size(), kMaxPairs);
  Rotation r{};
  std::transform(table.inverse_frequency.begin(), table.inverse_frequency.end(), r.quarters,
                 [](double frequency) { return frequency * 0.63661977236758134308; });
  r.magnitude = static_cast<float>(table.magnitude);
  r.direction = inverse ? -1.f : 1.f;
  return r;
}

/// (cos, sin) of a pair at a position, with magnitude and direction: within 7.1e-8 at positions up to 163,839 (all of
/// them tried for 32 pairs), 1.2e-7 at the farthest. The quarters of a turn are taken off in double, the rest is
/// Cephes' sinf and cosf (Moshier 1992). The library's own would reduce large angles in a slow path with a stack.
__device__ inline float2 turn_of(const Rotation& rotation, int pair, std::int32_t position) {
  constexpr double kRound = 6755399441055744.0;  // 1.5 · 2^52: adding it leaves the nearest integer in the low bits
  const double turns = static_cast<double>(position) * rotation.quarters[pair], shifted = turns + kRound;
  const int quadrant = __double2loint(shifted);
  const auto r = static_cast<float>((turns - (shifted - kRound)) * 1.57079632679489661923);  // |r| <= π / 4
  const float z = r * r;
  const float s = fmaf(fmaf(fmaf(-1.9515295891e-4f, z, 8.3321608736e-3f), z, -1.6666654611e-1f), z * r, r);
  const float c = fmaf(
      fmaf(fmaf(fmaf(2.443315711809948e-5f, z, -1.388731625493765e-3f), z, 4.166664568298827e-2f), z, -0.5f), z, 1.f);
  const float cosine = (quadrant & 1) ? s : c, sine = (quadrant & 1) ? c : s;
  return {(((quadrant + 1) & 2) ? -cosine : cosine) * rotation.magnitude,
          ((quadrant & 2) ? -sine : sine) * rotation.magnitude * rotation.direction};
}
/// A pair turned.
__device__ inline float2 turned(float2 pair, float2 turn) {
  return {pair.x * turn.x - pair.y * turn.y, pair.x * turn.y + pair.y * turn.x};
}

}  // namespace eddy::kernels::cuda
