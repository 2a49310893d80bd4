#pragma once
#include "device/stream.h"
#include "tensor/view.h"

namespace eddy::kernels {
using device::Stream;
using tensor::View;

/// y = x / sqrt(mean(x²) + eps) · weight, row by row (Zhang & Sennrich 2019, eq. 4). x, y [T, H] (row_stride honoured),
/// weight [H], inv_rms [T] out (may be empty).
void rms_norm(const Stream& stream, View x, View weight, float eps, View y, View inv_rms);
/// sum += x, then y = rms_norm(sum), in one pass; on a GPU the sum is rounded to its type before it is normalised, as
/// if two kernels had run. sum, x, y [T, H] of one type.
void add_rms_norm(const Stream& stream, View x, View sum, View weight, float eps, View y, View inv_rms);
/// dx = ∂L/∂x of rms_norm, plus `residual` [T, H] where given (the gradient that by-passes the norm); dweight [H] +=
/// (skipped when empty). dx may be dy or residual itself. Deterministic. inv_rms and dweight are float32, the rest of
/// one type.
void rms_norm_backward(const Stream& stream, View dy, View x, View weight, View inv_rms, View residual, View dx,
                       View dweight);

}  // namespace eddy::kernels
