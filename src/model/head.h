#pragma once
// The vocabulary's two ends, split over TP by rows: embedding, and head with cross-entropy. Logits are computed a chunk
// of tokens at a time; in training their gradient is taken in place at once, so that no [T, V] tensor lives.
#include <functional>

#include "model/context.h"
#include "model/weights.h"

namespace eddy::model {

/// ids int32 [T] → this rank's tokens [t, hidden].
tensor::Tensor embed(const Context& ctx, const Parameter& table, tensor::View ids);
/// d [t, hidden] is added to the table's gradient.
void embed_backward(const Context& ctx, const Parameter& table, tensor::View ids, tensor::View d);

using LogitsSink = std::function<void(std::int64_t first_token, tensor::View logits)>;
/// x [t, hidden] after the final norm; labels int32 [T], -1 not counted. loss float64 [1] += Σ of the counted tokens'
/// losses over all T tokens, the same on every TP rank. train: returns the gradient of scale · loss with respect to x
/// and adds the head's. The sink gets float32 in host memory.
tensor::Tensor head_loss(const Context& ctx, const Parameter& head, tensor::View x, tensor::View labels, bool train,
                         double scale, tensor::View loss, const LogitsSink& sink);

}  // namespace eddy::model
