#pragma once
#include "device/stream.h"
#include "tensor/view.h"

namespace eddy::kernels {
using device::Stream;
using tensor::View;

/// Vocabulary-parallel cross-entropy (Shoeybi et al. 2019, §3): a part's statistics in one pass (online softmax,
/// Milakov & Gimelshein 2018, algorithm 3), the parts joined by the ranks, the gradient in the logits' place.
/// Deterministic. statistics float32 [3, T]: each row's maximum; Σ exp(logit - maximum); the label's logit where it
/// lies in this part, else 0. logits [T, V_local] (float32, on a GPU also bf16) are the vocabulary's part beginning at
/// vocab_begin; labels int32 [T], -1: not counted.
void cross_entropy_statistics(const Stream& stream, View logits, View labels, std::int64_t vocab_begin,
                              View statistics);
/// The whole vocabulary's statistics [3, T] from those of its parts [R, 3, T].
void cross_entropy_join(const Stream& stream, View parts, View statistics);
/// loss [1] float64 += Σ over the counted tokens of log Σ exp(logit) - label's logit, from the whole vocabulary's
/// statistics; in a fixed order.
void cross_entropy_loss(const Stream& stream, View labels, View statistics, View loss);
/// In place: logits ← scale · (softmax - onehot(label)) for counted tokens, 0 for others; statistics are the whole
/// vocabulary's.
void cross_entropy_backward(const Stream& stream, View logits, View labels, std::int64_t vocab_begin, View statistics,
                            float scale);

}  // namespace eddy::kernels
