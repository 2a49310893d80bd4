#include "kernels/adamw/adamw.h"

#include <cmath>

#include "kernels/common/checks.h"

namespace eddy::kernels {

void adamw(const Stream&, View param, View grad, View m, View v, const AdamwStep& step) {
  const std::int64_t n = param.numel();
  float* p = floats_of(param, n, {"adamw", "param"});
  const float* g = floats_of(grad, n, {"adamw", "grad"});
  float* first = floats_of(m, n, {"adamw", "m"});
  float* second = floats_of(v, n, {"adamw", "v"});
  const float keep = 1.0f - step.lr * step.weight_decay, b1 = step.beta1, b2 = step.beta2;
  const float rate = step.lr / step.correction1, inverse2 = 1.0f / step.correction2;
  const float grad_scale = step.grad_scale, eps = step.eps;
#pragma omp parallel for simd schedule(static) if (parallel : worth_threads(n))
  for (std::int64_t i = 0; i < n; ++i) {
    const float d = g[i] * grad_scale;
    const float a = b1 * first[i] + (1.0f - b1) * d;
    const float b = b2 * second[i] + (1.0f - b2) * (d * d);
    first[i] = a;
    second[i] = b;
    p[i] = p[i] * keep - rate * a / (std::sqrt(b * inverse2) + eps);
  }
}

}  // namespace eddy::kernels
