#pragma once
#include "device/stream.h"
#include "tensor/view.h"

namespace eddy::kernels {
using device::Stream;
using tensor::View;

struct AdamwStep {
  float lr, beta1, beta2, eps, weight_decay;
  float grad_scale;                ///< multiplies the gradient (clipping)
  float correction1, correction2;  ///< 1 - beta^t
};
/// Loshchilov & Hutter 2019, algorithm 2 (decoupled decay): m, v, param updated in place; all flat [n] float32, m and v
/// on a GPU also bf16 (rounded to nearest). param ← param·(1 - lr·wd) - lr · (m/c1) / (sqrt(v/c2) + eps).
/// value [n] bf16 (may be empty): the updated param, rounded: what the forward pass reads.
void adamw(const Stream& stream, View param, View grad, View m, View v, const AdamwStep& step, View value = {});

}  // namespace eddy::kernels
