#pragma once
#include "kernels/cross_entropy/cross_entropy.h"

namespace eddy::kernels::cuda {

void cross_entropy_max(const Stream& stream, View logits, View row_max);
void cross_entropy_sums(const Stream& stream, View logits, View labels, std::int64_t vocab_begin, View row_max,
                        View sum_exp, View target);
void cross_entropy_loss(const Stream& stream, View labels, View sum_exp, View target, View loss);
void cross_entropy_backward(const Stream& stream, View logits, View labels, std::int64_t vocab_begin, View row_max,
                            View sum_exp, float scale);

}  // namespace eddy::kernels::cuda
