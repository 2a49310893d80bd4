#pragma once
#include "device/stream.h"
#include "tensor/view.h"

namespace eddy::kernels {
using device::Stream;
using tensor::View;

/// Σ x², accumulated in double in a fixed order (independent of the thread count). NaN and infinity carry through.
double sum_of_squares(const Stream& stream, View x);
/// Σ x · mask in double; mask uint8 (may be empty). x flat float32.
double masked_sum(const Stream& stream, View x, View mask);

}  // namespace eddy::kernels
