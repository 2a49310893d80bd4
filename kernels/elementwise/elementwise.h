#pragma once
#include "device/stream.h"
#include "tensor/view.h"

namespace eddy::kernels {
using device::Stream;
using tensor::View;

// Shapes agree; row_stride is honoured on every view. Deterministic.

/// y += x. Both float32 or both int64; on a GPU also both bf16, or float32 y and bf16 x.
void add(const Stream& stream, View x, View y);
/// x *= factor. float32; on a GPU also bf16.
void scale(const Stream& stream, View x, float factor);
/// to = from. Any one type; on a GPU also float32 to bf16 (rounded to nearest even) and bf16 to float32.
void copy(const Stream& stream, View from, View to);
/// x = value. float32 or int32; on a GPU also bf16.
void fill(const Stream& stream, View x, float value);

}  // namespace eddy::kernels
