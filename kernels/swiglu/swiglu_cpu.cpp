#include "kernels/swiglu/swiglu.h"

#include "kernels/common/checks.h"
#include "kernels/common/math.h"
#include "kernels/swiglu/swiglu_cuda.h"

namespace eddy::kernels {

void swiglu(const Stream& stream, View gate_up, View act, View weights) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::swiglu(stream, gate_up, act, weights);
  const Rows out = rows_of(act, {"swiglu", "act"});
  const Rows in = rows_of(gate_up, out.rows, 2 * out.cols, {"swiglu", "gate_up"});
  const float* weight = weights ? floats_of(weights, out.rows, {"swiglu", "weights"}) : nullptr;
#pragma omp parallel for schedule(static) if (worth_threads(out.rows * out.cols))
  for (std::int64_t r = 0; r < out.rows; ++r) {
    const float *gate = in[r], *up = in[r] + out.cols;
    float* a = out[r];
    const float w = weight ? weight[r] : 1.0f;
#pragma omp simd
    for (std::int64_t i = 0; i < out.cols; ++i) a[i] = gate[i] * sigmoid_f32(gate[i]) * up[i] * w;
  }
}

void swiglu_backward(const Stream& stream, View dact, View gate_up, View dgate_up) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::swiglu_backward(stream, dact, gate_up, dgate_up);
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

void swiglu_weighted_backward(const Stream& stream, View dact, View gate_up, View weights, View dgate_up, View dweights,
                              View act) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::swiglu_weighted_backward(stream, dact, gate_up, weights, dgate_up, dweights, act);
  const Rows d = rows_of(dact, {"swiglu_weighted_backward", "dact"});
  const Rows in = rows_of(gate_up, d.rows, 2 * d.cols, {"swiglu_weighted_backward", "gate_up"});
  const Rows out = rows_of(dgate_up, d.rows, 2 * d.cols, {"swiglu_weighted_backward", "dgate_up"});
  const Rows again = rows_of(act, d.rows, d.cols, {"swiglu_weighted_backward", "act"});
  const float* weight = floats_of(weights, d.rows, {"swiglu_weighted_backward", "weights"});
  float* dweight = floats_of(dweights, d.rows, {"swiglu_weighted_backward", "dweights"});
#pragma omp parallel for schedule(static) if (worth_threads(d.rows * d.cols))
  for (std::int64_t r = 0; r < d.rows; ++r) {
    const float *gate = in[r], *up = in[r] + d.cols, *da = d[r];
    float *dgate = out[r], *dup = out[r] + d.cols, *a = again[r];  // may be gate, up and da: read before written
    const float w = weight[r];
    float dot = 0;
#pragma omp simd reduction(+ : dot)
    for (std::int64_t i = 0; i < d.cols; ++i) {
      const float g = gate[i], u = up[i], s = sigmoid_f32(g), unweighted = g * s * u, back = da[i];
      dot += back * unweighted;
      dgate[i] = back * w * u * s * (1.0f + g * (1.0f - s));
      dup[i] = back * w * g * s;
      a[i] = unweighted * w;
    }
    dweight[r] = dot;
  }
}

}  // namespace eddy::kernels
