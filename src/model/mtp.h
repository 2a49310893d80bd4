#pragma once
// The multi-token-prediction layer as the published weights expect it: z_i = eh_proj [enorm(embed(t_{i+1})),
// hnorm(h_i)], h_i taken after the main model's final norm (the reverse order of arXiv 2412.19437, eq. 21); one decoder
// layer; its own norm; the main head; target t_{i+2}. Neither token may lie in another document (MicroBatch sees to
// that).
#include "model/block.h"
#include "model/head.h"

namespace eddy::model {

struct MtpSaved {
  tensor::Tensor hidden, embedded;          ///< [t, hidden] both inputs
  tensor::Tensor hidden_inv, embedded_inv;  ///< [t]
  BlockSaved block;
  tensor::Tensor out, out_inv;  ///< [t, hidden] before shared_head.norm, [t]
  tensor::Tensor d_normed;      ///< [t, hidden] gradient of the head's input, taken in the forward pass
  std::size_t bytes() const;
};

/// hidden [t, hidden] after the final norm; loss float64 [1] += the loss sum; in training `saved` is filled. counts and
/// hook as in block_forward.
void mtp_forward(const Context& ctx, const MtpWeights& w, const Parameter& table, const Parameter& head,
                 const MicroBatch& batch, tensor::View hidden, bool train, double scale, tensor::View loss,
                 const LogitsSink& sink, MtpSaved& saved, tensor::View counts, const RoutingHook& hook);
/// → gradient of `hidden`; the embedding's and the layer's are added to the store's.
tensor::Tensor mtp_backward(const Context& ctx, const MtpWeights& w, const Parameter& table, const MicroBatch& batch,
                            MtpSaved saved, double balance_scale, WeightGradients* deferred, const GradientsDone& done);

}  // namespace eddy::model
