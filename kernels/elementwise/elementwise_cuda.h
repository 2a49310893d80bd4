#pragma once
// elementwise.h's functions on a CUDA stream (elementwise.cu).
#include "kernels/elementwise/elementwise.h"

namespace eddy::kernels::cuda {

void add(const Stream& stream, View x, View y);
void scale(const Stream& stream, View x, float factor);
void copy(const Stream& stream, View from, View to);
void fill(const Stream& stream, View x, float value);

}  // namespace eddy::kernels::cuda
