#pragma once
// swiglu.h's functions on a CUDA stream (swiglu.cu).
#include "kernels/swiglu/swiglu.h"

namespace eddy::kernels::cuda {

void swiglu(const Stream& stream, View gate_up, View act, View weights);
void swiglu_backward(const Stream& stream, View dact, View gate_up, View dgate_up);
void swiglu_weighted_backward(const Stream& stream, View dact, View gate_up, View weights, View dgate_up, View dweights,
                              View act);

}  // namespace eddy::kernels::cuda
