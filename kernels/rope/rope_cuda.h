#pragma once
// rope.h's function on a CUDA stream (rope.cu).
#include "kernels/rope/rope.h"

namespace eddy::kernels::cuda {

void rope(const Stream& stream, View x, int heads, int head_dim, int offset, View positions, const RopeTable& table,
          bool inverse);

}  // namespace eddy::kernels::cuda
