#pragma once
#include "device/stream.h"
#include "tensor/view.h"

namespace eddy::kernels {
using device::Stream;
using tensor::View;

void add(const Stream& stream, View x, View y);          ///< y += x; the same shape, row_stride honoured (rank 2)
void scale(const Stream& stream, View x, float factor);  ///< x *= factor
void copy(const Stream& stream, View from, View to);     ///< to = from; rank 2, row_stride honoured on both sides
void fill(const Stream& stream, View x, float value);

}  // namespace eddy::kernels
