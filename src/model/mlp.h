#pragma once
// Dense SwiGLU layers (width split over TP) and the shared expert (whole on every rank, on its own tokens).
#include "model/context.h"
#include "model/weight_gradients.h"
#include "model/weights.h"

namespace eddy::model {

/// n = T for a dense layer, t = T / TP for a shared expert; I = this rank's width.
struct MlpSaved {
  tensor::Tensor gathered;  ///< [T, hidden] input of a dense layer with TP > 1; dropped by selective recomputation
  tensor::Tensor gate_up;   ///< [n, 2·I]
  tensor::Tensor act;       ///< [n, I]; dropped by selective recomputation
  std::size_t bytes() const { return gathered.bytes() + gate_up.bytes() + act.bytes(); }
  void drop_activations() {
    gathered.reset();
    act.reset();
  }
};

/// x [t, hidden] → [t, hidden], to which `residual` [t, hidden] is added. `split`: width over TP (dense layer), else
/// whole on own tokens (shared expert).
tensor::Tensor mlp_forward(const Context& ctx, const MlpWeights& w, bool split, tensor::View x, tensor::View residual,
                           MlpSaved& saved);
/// Its two halves: up to the activation, kept in `saved`; and the product that leaves it.
void mlp_hidden(const Context& ctx, const MlpWeights& w, bool split, tensor::View x, MlpSaved& saved);
tensor::Tensor mlp_out(const Context& ctx, const MlpWeights& w, bool split, tensor::View residual,
                       const MlpSaved& saved);
/// d_out [t, hidden] → gradient of x [t, hidden]. x as in forward; must stay until `deferred` has run.
tensor::Tensor mlp_backward(const Context& ctx, const MlpWeights& w, bool split,
                            const std::shared_ptr<tensor::Tensor>& x, MlpSaved saved, tensor::View d_out,
                            WeightGradients* deferred);

}  // namespace eddy::model
