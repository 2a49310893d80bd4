#pragma once
#include "device/stream.h"
#include "tensor/view.h"

namespace eddy::kernels {
using device::Stream;
using tensor::View;

/// DeepSeek-V3's router (arXiv 2412.19437, eq. 12–16, and its modeling code). A GPU routes to up to 32 of 512 experts
/// in 32 groups.
struct RouterConfig {
  int experts = 0, top_k = 0;
  int groups = 1, groups_kept = 1;  ///< group-limited: a group's score is the sum of its two best (noaux_tc) or its
                                    ///< best (group_limited_greedy)
  bool sigmoid = true;              ///< else softmax over the experts
  bool noaux =
      true;  ///< choose by score + bias; false: by score alone ("group_limited_greedy"; "greedy" has groups == 1)
  bool normalize = true;  ///< divide the chosen scores by their sum (+1e-20)
  float scaling = 1;      ///< routed_scaling_factor, applied to the weights
};
/// logits [T, E] → scores [T, E]; indices int32 [T, k] by falling biased score (ties: lower index first) and weights
/// [T, k] (unbiased scores, normalised, scaled). valid uint8 [T] (may be empty): tokens with 0 get indices -1 and
/// weights 0. Where fewer than top_k experts remain in the kept groups' allowance the masked ones score 0, as in the
/// published code.
void router(const Stream& stream, View logits, View bias, View valid, const RouterConfig& config, View scores,
            View indices, View weights);
/// Only the weights, for choices made before (recomputation, replay): logits, indices → scores, weights.
void router_replay(const Stream& stream, View logits, View indices, const RouterConfig& config, View scores,
                   View weights);
/// dlogits [T, E] (overwritten; on a GPU also bf16) from dweights [T, k]; dscores [T, E] (may be empty) is added: a
/// gradient that reaches the scores directly (the balance loss).
void router_backward(const Stream& stream, View dweights, View scores, View indices, View dscores,
                     const RouterConfig& config, View dlogits);

}  // namespace eddy::kernels
