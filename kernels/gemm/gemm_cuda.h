#pragma once
// gemm.h's function on a CUDA stream (cuBLASLt).
#include "kernels/gemm/gemm.h"

namespace eddy::kernels::cuda {

void gemm(const Stream& stream, View a, bool transpose_a, View b, bool transpose_b, View c, float alpha, float beta,
          View d);

}  // namespace eddy::kernels::cuda
