#pragma once
#include "kernels/embedding/embedding.h"

namespace eddy::kernels::cuda {

void embedding(const Stream& stream, View table, View ids, std::int64_t vocab_begin, View y);
void embedding_backward(const Stream& stream, View dy, View ids, std::int64_t vocab_begin, View dtable);

}  // namespace eddy::kernels::cuda
