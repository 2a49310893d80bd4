#pragma once
// rms_norm.h's functions on a CUDA stream (rms_norm.cu).
#include "kernels/rms_norm/rms_norm.h"

namespace eddy::kernels::cuda {

void rms_norm(const Stream& stream, View x, View weight, float eps, View y, View inv_rms);
void add_rms_norm(const Stream& stream, View x, View sum, View weight, float eps, View y, View inv_rms);
void rms_norm_backward(const Stream& stream, View dy, View x, View weight, View inv_rms, View residual, View dx,
                       View dweight);

}  // namespace eddy::kernels::cuda
