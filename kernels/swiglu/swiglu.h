#pragma once
#include "device/stream.h"
#include "tensor/view.h"

namespace eddy::kernels {
using device::Stream;
using tensor::View;

/// act = silu(gate) · up (Shazeer 2020, eq. 6): gate_up [R, 2I], gate the first I columns; act [R, I]. Where given, row
/// r is multiplied by weights[r] (an expert's gate value), float32 [R].
void swiglu(const Stream& stream, View gate_up, View act, View weights = {});
/// dgate_up [R, 2I] from dact [R, I]; may be in place on gate_up.
void swiglu_backward(const Stream& stream, View dact, View gate_up, View dgate_up);
/// The same behind weights, in one pass: dgate_up (may be in place), dweights float32 [R] = dact[r] · (silu(gate) ·
/// up)[r], and act [R, I] = the weighted activation once more, which the weight gradient of what follows needs (may be
/// in place on dact).
void swiglu_weighted_backward(const Stream& stream, View dact, View gate_up, View weights, View dgate_up, View dweights,
                              View act);

}  // namespace eddy::kernels
