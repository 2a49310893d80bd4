#pragma once
#include "kernels/gemm/gemm.h"

namespace eddy::kernels {

/// Experts' products. Rows are grouped by expert: rows [offsets[e], offsets[e+1]) belong to expert e. offsets int64 [E
/// + 1], where the stream runs: a GPU's host never waits for them. Rows from offsets[E] on belong to nobody: y there is
/// not written.
/// transpose_w: y [R, N] = x [R, K] · W_e^T, W [E, N, K] (forward); else y [R, K] = x [R, N] · W_e (gradient of the
/// input).
void grouped_gemm(const Stream& stream, View x, View w, bool transpose_w, View offsets, View y);
/// dW_e [N, K] = dy_e^T · x_e + beta · dW_e for each expert; dy [R, N], x [R, K], dw [E, N, K] float32. beta is 0 or 1;
/// an expert without rows adds nothing (beta 0: its dW is zeroed).
void grouped_gemm_backward_weight(const Stream& stream, View dy, View x, View offsets, View dw, float beta = 1);

}  // namespace eddy::kernels
