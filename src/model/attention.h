#pragma once
// Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, eq. 9–19), heads split over TP. The latents are computed
// on each rank's own tokens and gathered, so that TP moves q_lora + kv_lora + rope numbers a token instead of `hidden`.
#include "model/context.h"
#include "model/weight_gradients.h"
#include "model/weights.h"

namespace eddy::model {

/// t = T / TP own tokens; T all; h heads of this rank.
struct AttentionSaved {
  tensor::Tensor q_a, q_a_inv;    ///< [t, q_lora] before its norm, [t]; empty without q-LoRA
  tensor::Tensor kv_a, kv_a_inv;  ///< [t, kv_lora + rope] before norm and rotation, [t]
  tensor::Tensor latent;          ///< [T, q_lora + kv_lora + rope]; without q-LoRA [T, hidden + kv_lora + rope]
  tensor::Tensor q, k,
      v;  ///< [T, h·(nope+rope)] rotated, [T, h·(nope+rope)], [T, h·v]; dropped by selective recomputation
  tensor::Tensor o, lse;  ///< [T, h·v], [h, T]
  std::size_t bytes() const;
  void drop_up_projections();
};

/// x [t, hidden] (normalised) → [t, hidden], to which `residual` [t, hidden] is added.
tensor::Tensor attention_forward(const Context& ctx, const AttentionWeights& w, const MicroBatch& batch, tensor::View x,
                                 tensor::View residual, AttentionSaved& saved);
/// d_out [t, hidden] → gradient of x [t, hidden]. x as in forward.
tensor::Tensor attention_backward(const Context& ctx, const AttentionWeights& w, const MicroBatch& batch,
                                  tensor::Tensor x, AttentionSaved saved, tensor::View d_out,
                                  WeightGradients* deferred);

}  // namespace eddy::model
