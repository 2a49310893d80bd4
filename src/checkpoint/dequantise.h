#pragma once
// FP8 tensors of a checkpoint, read as float32.
#include "checkpoint/checkpoint.h"

namespace eddy::checkpoint {

/// Fills a float32 block of an f8e4m3 tensor: the values that DeepSeek's script makes of it, rounded to bfloat16. The
/// scales are the tensor "<name>_scale_inv" beside it: of a matrix [blocks of rows, blocks of columns]; of stacked
/// experts [experts, …, …], where the gate's blocks and the up projection's each begin with their own first row. Reads
/// the block and its experts' scales only. Throws Error (status 2) naming the tensor when scales are missing or of
/// another shape.
void read_dequantised(const Checkpoint& checkpoint, const tensor::Slice& slice);

}  // namespace eddy::checkpoint
