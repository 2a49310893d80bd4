#pragma once
// The mixture of experts (DeepSeek-V3, arXiv 2412.19437, §2.1.2): router on own tokens, dispatch over the EP group, the
// local experts' SwiGLU, return, sum; the shared expert beside it.
#include <functional>

#include "model/mlp.h"
#include "parallel/dispatch.h"

namespace eddy::model {

/// t = T / TP own tokens, k choices, R rows this rank's experts got in the first wave. Of further waves only the
/// routing is kept: the backward pass has their rows sent again.
struct MoeSaved {
  tensor::Tensor scores;   ///< [t, E] float32
  tensor::Tensor indices;  ///< int32 [t, k]; with the dispatch plan: kept by every recomputation mode
  tensor::Tensor weights;  ///< [t, k] float32
  parallel::DispatchPlan plan;
  tensor::Tensor rows;     ///< [R, hidden]
  tensor::Tensor gate_up;  ///< [R, 2·width]
  tensor::Tensor
      balance_share;  ///< [rows of the micro-batch, E] factor of each expert in the balance loss; empty when off
  MlpSaved shared;
  std::size_t bytes() const;
  void drop_activations();
  void drop_all_but_routing();
};

/// What a stage's caller does with a layer's choices (Stage::on_routing).
using RoutingHook = std::function<void(tensor::View indices)>;

/// x [t, hidden] → [t, hidden], to which `residual` [t, hidden] is added. counts int64 [E] (may be empty) += own tokens
/// of each expert, unless the routing in `saved` is replayed.
tensor::Tensor moe_forward(const Context& ctx, const MoeWeights& w, const MicroBatch& batch, tensor::View valid,
                           tensor::View x, tensor::View residual, MoeSaved& saved, tensor::View counts,
                           const RoutingHook& hook);
/// d_out [t, hidden] → gradient of x [t, hidden]; balance_scale: factor of the balance loss in the gradient.
tensor::Tensor moe_backward(const Context& ctx, const MoeWeights& w, const MicroBatch& batch,
                            const std::shared_ptr<tensor::Tensor>& x, MoeSaved saved, tensor::View d_out,
                            double balance_scale, WeightGradients* deferred);

}  // namespace eddy::model
