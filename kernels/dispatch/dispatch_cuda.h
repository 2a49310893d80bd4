#pragma once
#include "kernels/dispatch/dispatch.h"

namespace eddy::kernels::cuda {

void sort_by_expert(const Stream& stream, View chosen, View slots, View pairs, View tokens, View counts, View offsets,
                    View total);

}  // namespace eddy::kernels::cuda
