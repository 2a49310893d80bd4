#pragma once
#include "device/stream.h"
#include "tensor/view.h"

namespace eddy::kernels {
using device::Stream;
using tensor::View;

/// sum [1] float64 += Σ x², accumulated in double in a fixed order (independent of the thread count). x flat float32.
/// NaN and infinity carry through.
void sum_of_squares(const Stream& stream, View x, View sum);

}  // namespace eddy::kernels
