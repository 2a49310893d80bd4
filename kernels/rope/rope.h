#pragma once
#include <vector>

#include "device/stream.h"
#include "tensor/view.h"

namespace eddy::kernels {
using device::Stream;
using tensor::View;

/// Rotary angles: inverse frequencies [dim / 2] and the factor on cos and sin (YaRN's attention factor; 1 without).
struct RopeTable {
  std::vector<double> inverse_frequency;
  double magnitude = 1;
};

/// Rotates in place, interleaved pairs (2i, 2i+1) by angle position · inverse_frequency[i] (Su et al. 2021, eq. 34):
/// x [T, heads · head_dim] (row_stride honoured), the pairs of each head begin at column `offset` of the head.
/// positions int32 [T]. inverse = true rotates back (the gradient).
void rope(const Stream& stream, View x, int heads, int head_dim, int offset, View positions, const RopeTable& table,
          bool inverse);

}  // namespace eddy::kernels
