#pragma once
// One decoder layer: x1 = x + attention(norm(x)); out = x1 + mlp or moe(norm(x1)).
#include "model/attention.h"
#include "model/moe.h"

namespace eddy::model {

struct BlockSaved {
  tensor::Tensor x, x_inv;  ///< [t, hidden] input; [t]
  tensor::Tensor normed;    ///< [t, hidden]; dropped by selective recomputation
  AttentionSaved attention;
  tensor::Tensor x1, x1_inv;  ///< [t, hidden], [t]
  tensor::Tensor normed1;     ///< [t, hidden]; dropped by selective recomputation
  MlpSaved mlp;
  MoeSaved moe;
  std::size_t bytes() const;
};

/// x [t, hidden] → [t, hidden]. valid [T]: tokens that experts see. counts and hook as in moe_forward (empty for dense
/// layers and replays).
tensor::Tensor block_forward(const Context& ctx, const LayerWeights& w, const MicroBatch& batch, tensor::View valid,
                             tensor::Tensor x, BlockSaved& saved, tensor::View counts, const RoutingHook& hook);
/// Frees what ctx.options.recompute computes again in the backward pass.
void drop_recomputable(const Context& ctx, const LayerWeights& w, BlockSaved& saved);
/// Told when gradients are complete (Stage::on_gradients); may be empty.
using GradientsDone = std::function<void(const parallel::Parameter& first)>;

/// d_out [t, hidden] → gradient of x.
tensor::Tensor block_backward(const Context& ctx, const LayerWeights& w, const MicroBatch& batch, tensor::View valid,
                              BlockSaved saved, tensor::Tensor d_out, double balance_scale, WeightGradients* deferred,
                              const GradientsDone& done);

}  // namespace eddy::model
