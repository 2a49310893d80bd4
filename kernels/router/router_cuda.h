#pragma once
#include "kernels/router/router.h"

namespace eddy::kernels::cuda {

void router(const Stream& stream, View logits, View bias, View valid, const RouterConfig& config, View scores,
            View indices, View weights);
void router_replay(const Stream& stream, View logits, View indices, const RouterConfig& config, View scores,
                   View weights);
void router_backward(const Stream& stream, View dweights, View scores, View indices, View dscores,
                     const RouterConfig& config, View dlogits);

}  // namespace eddy::kernels::cuda
