#pragma once
#include "device/stream.h"
#include "tensor/view.h"

namespace eddy::kernels {
using device::Stream;
using tensor::View;

/// x and y are of one type: float32, on a GPU also bf16 (sums in float32).
/// y[r] = x[rows[r]]; rows int32 [R], an entry of -1 gives zeros. x [T, H], y [R, H].
void gather_rows(const Stream& stream, View x, View rows, View y);
/// y[t] = Σ_j weights[t, j] · x[slots[t, j]] (+ y[t] when accumulate), a gather in fixed order: no atomics,
/// deterministic. slots int32 [T, k], -1: nothing. weights [T, k] float32, or empty for 1. x [R, H], y [T, H].
void combine_rows(const Stream& stream, View x, View slots, View weights, bool accumulate, View y);

}  // namespace eddy::kernels
