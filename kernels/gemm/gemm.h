#pragma once
#include "device/stream.h"
#include "tensor/view.h"

namespace eddy::kernels {
using device::Stream;
using tensor::View;

/// C = alpha · op(A) · op(B) + beta · D, row-major matrices (rank 2; row_stride honoured), op = transpose when asked.
/// op(A) [M, K], op(B) [K, N], C [M, N]. D is C itself where `d` is empty, else of
/// C's shape and type (a residual that is added on the way). beta 0 never reads D. M, N or K of 0 is allowed.
/// Deterministic for one thread count. float32; on a GPU each of A, B, C may also be bf16. Products are added in
/// float32 (TF32 is never used). bf16 C: a float32 operand is first rounded to bf16. float32 C, one operand bf16: the
/// other, float32, is taken as the sum of two bf16 (16 bits of its 24).
void gemm(const Stream& stream, View a, bool transpose_a, View b, bool transpose_b, View c, float alpha = 1,
          float beta = 0, View d = {});

/// y [T, out] (+)= x [T, in] · W^T, W [out, in].
inline void linear(const Stream& s, View x, View w, View y, float beta = 0) {
  gemm(s, x, false, w, true, y, 1, beta);
}
/// dx [T, in] (+)= dy [T, out] · W.
inline void linear_backward_input(const Stream& s, View dy, View w, View dx, float beta = 0) {
  gemm(s, dy, false, w, false, dx, 1, beta);
}
/// dW [out, in] = dy^T · x + beta · dW.
inline void linear_backward_weight(const Stream& s, View dy, View x, View dw, float beta = 1) {
  gemm(s, dy, true, x, false, dw, 1, beta);
}

}  // namespace eddy::kernels
