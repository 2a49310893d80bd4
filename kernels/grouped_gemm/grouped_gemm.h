#pragma once
#include <span>

#include "kernels/gemm/gemm.h"

namespace eddy::kernels {

/// Experts' products. Rows are grouped by expert: rows [offsets[e], offsets[e+1]) belong to expert e; offsets [E + 1].
/// transpose_w: y [R, N] = x [R, K] · W_e^T, W [E, N, K] (forward); else y [R, K] = x [R, N] · W_e (gradient of the
/// input).
void grouped_gemm(const Stream& stream, View x, View w, bool transpose_w, std::span<const std::int64_t> offsets,
                  View y);
/// dW_e [N, K] += dy_e^T · x_e for each expert; dy [R, N], x [R, K], dw [E, N, K]. An expert without rows adds nothing.
void grouped_gemm_backward_weight(const Stream& stream, View dy, View x, std::span<const std::int64_t> offsets,
                                  View dw);

}  // namespace eddy::kernels
