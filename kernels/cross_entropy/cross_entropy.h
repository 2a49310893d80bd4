#pragma once
#include "device/stream.h"
#include "tensor/view.h"

namespace eddy::kernels {
using device::Stream;
using tensor::View;

/// Vocabulary-parallel cross-entropy in two steps with the ranks' reduction between them (Shoeybi et al. 2019, §3).
/// logits [T, V_local] (float32, on a GPU also bf16; the statistics float32) of the vocabulary's part beginning at
/// vocab_begin; labels int32 [T], -1: not counted. row_max [T] = max over this part.
void cross_entropy_max(const Stream& stream, View logits, View row_max);
/// Given the global row_max: sum_exp [T] = Σ exp(logit - row_max) over this part, target [T] = logit - row_max of the
/// label where it lies in this part, else 0.
void cross_entropy_sums(const Stream& stream, View logits, View labels, std::int64_t vocab_begin, View row_max,
                        View sum_exp, View target);
/// loss [1] float64 += Σ over the counted tokens of log(sum_exp) - target, both global; in a fixed order.
void cross_entropy_loss(const Stream& stream, View labels, View sum_exp, View target, View loss);
/// In place: logits ← scale · (softmax - onehot(label)) for counted tokens, 0 for others; sum_exp is the global one.
void cross_entropy_backward(const Stream& stream, View logits, View labels, std::int64_t vocab_begin, View row_max,
                            View sum_exp, float scale);

}  // namespace eddy::kernels
