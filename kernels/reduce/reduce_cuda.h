#pragma once
#include "kernels/reduce/reduce.h"

namespace eddy::kernels::cuda {

void sum_of_squares(const Stream& stream, View x, View sum);

}  // namespace eddy::kernels::cuda
