#pragma once
#include "device/stream.h"
#include "tensor/view.h"

namespace eddy::kernels {
using device::Stream;
using tensor::View;

/// table and y (and dy below) float32 or bf16 on a GPU; dtable is float32.
/// y[t] = table[ids[t] - vocab_begin], zeros where the id is not in this part. table [V_local, H], ids int32 [T], y [T,
/// H].
void embedding(const Stream& stream, View table, View ids, std::int64_t vocab_begin, View y);
/// dtable[ids[t] - vocab_begin] += dy[t], in token order: deterministic. Ids outside the part (or -1) are passed over.
void embedding_backward(const Stream& stream, View dy, View ids, std::int64_t vocab_begin, View dtable);

}  // namespace eddy::kernels
