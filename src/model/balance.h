#pragma once
// The sequence-level balance loss of DeepSeek-V3 (arXiv 2412.19437, eq. 17–20): α Σ_i f_i P_i a sequence, with
// f_i = E / (k·n) · (tokens of the sequence that chose i), P_i = mean over its tokens of score_i / Σ_j score_j.
// A sequence is a packed row; its tokens may lie on several TP ranks.
// Computed on the host: with a GPU it waits for the stream, which the loss is small enough to be worth where it is
// asked for (train.balance_loss, off by default).
#include "model/context.h"

namespace eddy::model {

/// [rows, E]: α·f_i / n of each row, n its real tokens: the factor of a token's normalised score in the loss.
/// Collective over TP.
tensor::Tensor balance_share(const Context& ctx, const MicroBatch& batch, tensor::View indices);
/// Gradient [t, E] of scale · loss with respect to the scores (f is a count: no gradient).
tensor::Tensor balance_backward(const Context& ctx, const MicroBatch& batch, tensor::View scores, tensor::View indices,
                                tensor::View share, double scale);

}  // namespace eddy::model
