#pragma once
// Other ways to the experts' weight gradient on Hopper, for eddy-bench kernels to measure beside the shipped one.
#include <array>

#include "kernels/grouped_gemm/grouped_gemm_cuda.h"

namespace eddy::kernels::cuda {

/// dw = dy^T · x for each expert that has rows (others are not touched); for what takes_sm90 accepts.
using WeightGradientWay = void (*)(const Stream&, View dy, View x, View offsets, View dw, bool along_n);
void weight_gradient_cooperative_128x256(const Stream&, View dy, View x, View offsets, View dw, bool along_n);
void weight_gradient_cooperative_128x256_of_4(const Stream&, View dy, View x, View offsets, View dw, bool along_n);
void weight_gradient_ping_pong_128x128(const Stream&, View dy, View x, View offsets, View dw, bool along_n);
void weight_gradient_ping_pong_128x128_of_4(const Stream&, View dy, View x, View offsets, View dw, bool along_n);

struct WeightGradientCandidate {
  const char* name;  ///< warp groups, a block's tile, blocks of a cluster
  WeightGradientWay run;
};
inline constexpr std::array kWeightGradientCandidates{
    WeightGradientCandidate{"coop 128x256 2x1", weight_gradient_cooperative_128x256},
    WeightGradientCandidate{"coop 128x256 2x2", weight_gradient_cooperative_128x256_of_4},
    WeightGradientCandidate{"ping-pong 128x128 2x1", weight_gradient_ping_pong_128x128},
    WeightGradientCandidate{"ping-pong 128x128 2x2", weight_gradient_ping_pong_128x128_of_4}};

}  // namespace eddy::kernels::cuda
