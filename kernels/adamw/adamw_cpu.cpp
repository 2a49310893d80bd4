#include "kernels/adamw/adamw.h"

#include <cmath>

#include "base/error.h"
#include "kernels/adamw/adamw_cuda.h"
#include "kernels/common/checks.h"

namespace eddy::kernels {

void adamw(const Stream& stream, View param, View grad, View m, View v, const AdamwStep& step, View value) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::adamw(stream, param, grad, m, v, step, value);
  const std::int64_t n = param.numel();
  float* p = floats_of(param, n, {"adamw", "param"});
  const float* g = floats_of(grad, n, {"adamw", "grad"});
  float* first = floats_of(m, n, {"adamw", "m"});
  float* second = floats_of(v, n, {"adamw", "v"});
  if (value && (value.dtype != Dtype::bf16 || value.numel() != n || !value.contiguous()))
    fail_run("adamw: 'value' must hold {} contiguous elements of bf16; it has shape {} of {}", n, value.shape.text(),
             name_of(value.dtype));
  auto* rounded = static_cast<std::uint16_t*>(value.data);
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
  if (!rounded) return;
#pragma omp parallel for schedule(static) if (worth_threads(n))
  for (std::int64_t i = 0; i < n; ++i) rounded[i] = float_to_bf16(p[i]);
}

}  // namespace eddy::kernels
