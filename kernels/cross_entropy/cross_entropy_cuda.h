#pragma once
#include "kernels/cross_entropy/cross_entropy.h"

namespace eddy::kernels::cuda {

void cross_entropy_statistics(const Stream& stream, View logits, View labels, std::int64_t vocab_begin,
                              View statistics);
void cross_entropy_join(const Stream& stream, View parts, View statistics);
void cross_entropy_loss(const Stream& stream, View labels, View statistics, View loss);
void cross_entropy_backward(const Stream& stream, View logits, View labels, std::int64_t vocab_begin, View statistics,
                            float scale);

}  // namespace eddy::kernels::cuda
