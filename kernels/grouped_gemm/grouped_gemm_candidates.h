#pragma once
// Other ways to the experts' weight gradient on Hopper, for eddy-bench kernels to measure beside the shipped one.
#include <array>

#include "kernels/grouped_gemm/grouped_gemm_cuda.h"

namespace eddy::kernels::cuda {

/// dw = dy^T · x for each expert that has rows (others are not touched); for what takes_sm90 accepts.
using WeightGradientWay = void (*)(const Stream&, View dy, View x, View offsets, View dw, bool along_n);
void weight_gradient_ping_pong_128x128(const Stream&, View dy, View x, View offsets, View dw, bool along_n);
void weight_gradient_ping_pong_64x256(const Stream&, View dy, View x, View offsets, View dw, bool along_n);
void weight_gradient_cooperative_256x128(const Stream&, View dy, View x, View offsets, View dw, bool along_n);
void weight_gradient_cooperative_128x256(const Stream&, View dy, View x, View offsets, View dw, bool along_n);

struct WeightGradientCandidate {
  const char* name;
  WeightGradientWay run;
};
inline constexpr std::array kWeightGradientCandidates{
    WeightGradientCandidate{"cooperative 128x256", weight_gradient_cooperative_128x256},
    WeightGradientCandidate{"ping-pong 128x128", weight_gradient_ping_pong_128x128},
    WeightGradientCandidate{"ping-pong 64x256", weight_gradient_ping_pong_64x256},
    WeightGradientCandidate{"cooperative 256x128", weight_gradient_cooperative_256x128}};

}  // namespace eddy::kernels::cuda
