#pragma once
#include "kernels/permute/permute.h"

namespace eddy::kernels::cuda {

void gather_rows(const Stream& stream, View x, View rows, View y);
void combine_rows(const Stream& stream, View x, View slots, View weights, bool accumulate, View y);

}  // namespace eddy::kernels::cuda
