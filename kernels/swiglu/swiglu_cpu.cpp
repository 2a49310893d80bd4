#include "kernels/swiglu/swiglu.h"

#include "kernels/common/checks.h"
#include "kernels/common/math.h"

namespace eddy::kernels {

void swiglu(const Stream&, View gate_up, View act) {
  const Rows out = rows_of(act, {"swiglu", "act"});
  const Rows in = rows_of(gate_up, out.rows, 2 * out.cols, {"swiglu", "gate_up"});
#pragma omp parallel for schedule(static) if (worth_threads(out.rows * out.cols))
  for (std::int64_t r = 0; r < out.rows; ++r) {
    const float *gate = in[r], *up = in[r] + out.cols;
    float* a = out[r];
#pragma omp simd
    for (std::int64_t i = 0; i < out.cols; ++i) a[i] = gate[i] * sigmoid_f32(gate[i]) * up[i];
  }
}

void swiglu_backward(const Stream&, View dact, View gate_up, View dgate_up) {
  const Rows d = rows_of(dact, {"swiglu_backward", "dact"});
  const Rows in = rows_of(gate_up, d.rows, 2 * d.cols, {"swiglu_backward", "gate_up"});
  const Rows out = rows_of(dgate_up, d.rows, 2 * d.cols, {"swiglu_backward", "dgate_up"});
#pragma omp parallel for schedule(static) if (worth_threads(d.rows * d.cols))
  for (std::int64_t r = 0; r < d.rows; ++r) {
    const float *gate = in[r], *up = in[r] + d.cols, *da = d[r];
    float *dgate = out[r], *dup = out[r] + d.cols;  // may be gate and up: both are read before either is written
#pragma omp simd
    for (std::int64_t i = 0; i < d.cols; ++i) {
      const float g = gate[i], u = up[i], s = sigmoid_f32(g);
      dgate[i] = da[i] * u * s * (1.0f + g * (1.0f - s));
      dup[i] = da[i] * g * s;
    }
  }
}

}  // namespace eddy::kernels
