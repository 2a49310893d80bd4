#pragma once
#include "kernels/adamw/adamw.h"

namespace eddy::kernels::cuda {

void adamw(const Stream& stream, View param, View grad, View m, View v, const AdamwStep& step, View value);

}  // namespace eddy::kernels::cuda
