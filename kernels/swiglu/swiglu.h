#pragma once
#include "device/stream.h"
#include "tensor/view.h"

namespace eddy::kernels {
using device::Stream;
using tensor::View;

/// act = silu(gate) · up (Shazeer 2020, eq. 6): gate_up [R, 2I], gate the first I columns; act [R, I].
void swiglu(const Stream& stream, View gate_up, View act);
/// dgate_up [R, 2I] from dact [R, I]; may be in place on gate_up.
void swiglu_backward(const Stream& stream, View dact, View gate_up, View dgate_up);

}  // namespace eddy::kernels
