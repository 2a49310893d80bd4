#pragma once
// What tests of CUDA kernels share: the GPU's stream, data at odd sizes, and comparison with the CPU twin.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

#include "catch.h"
#include "device/gpu.h"
#include "tensor/tensor.h"

namespace eddy_test {
extern bool skipped;

/// Null where there is no GPU (the test then says that it skipped): begin each test case with `const auto* gpu =
/// gpu_stream(); if (!gpu) return;`.
inline const eddy::device::Stream* gpu_stream() {
  static eddy::device::Stream stream;
  static bool opened = false;
  if (!opened) {
    std::string why;
    if (eddy::device::gpu_count(&why) == 0) {
      if (!skipped) std::fprintf(stderr, "skipped: %s\n", why.c_str());
      skipped = true;
      return nullptr;
    }
    stream = eddy::device::open_gpu(0, std::size_t{6} << 30);
    opened = true;
  }
  return &stream;
}

using eddy::Dtype;
using eddy::tensor::Shape;
using eddy::tensor::Tensor;
using eddy::tensor::View;

/// Host float32 values, normal with deviation `scale`; rounded to what `dtype` holds.
inline Tensor random_tensor(const Shape& shape, unsigned seed, Dtype dtype = Dtype::f32, float scale = 1) {
  Tensor t(shape);
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(0, scale);
  for (std::int64_t i = 0; i < t.view().numel(); ++i) {
    t.f32()[i] = normal(engine);
    if (dtype == Dtype::bf16) t.f32()[i] = eddy::bf16_to_float(eddy::float_to_bf16(t.f32()[i]));
  }
  return t;
}
/// Host float32 → the GPU, as `dtype`.
inline Tensor upload(const eddy::device::Stream& gpu, View host, Dtype dtype = Dtype::f32) {
  if (dtype != Dtype::bf16) return eddy::tensor::to_device(gpu, host);
  Tensor bits(host.shape, Dtype::bf16);
  auto* out = static_cast<std::uint16_t*>(bits.view().data);
  for (std::int64_t i = 0; i < host.numel(); ++i) out[i] = eddy::float_to_bf16(host.f32()[i]);
  return eddy::tensor::to_device(gpu, bits);
}
/// The GPU's elements (contiguous, float32 or bf16) as host float32.
inline Tensor download(const eddy::device::Stream& gpu, View device) {
  Tensor raw = eddy::tensor::to_host(gpu, device);
  if (device.dtype != Dtype::bf16) return raw;
  Tensor out(device.shape);
  const auto* bits = static_cast<const std::uint16_t*>(raw.view().data);
  for (std::int64_t i = 0; i < device.numel(); ++i) out.f32()[i] = eddy::bf16_to_float(bits[i]);
  return out;
}
/// ‖actual - expected‖ / ‖expected‖; infinite where a value is not finite.
inline double relative_error(View actual, View expected) {
  double difference = 0, norm = 0;
  for (std::int64_t i = 0; i < expected.numel(); ++i) {
    const double a = actual.f32()[i], e = expected.f32()[i];
    if (!std::isfinite(a)) return INFINITY;
    difference += (a - e) * (a - e);
    norm += e * e;
  }
  return std::sqrt(difference / (norm > 0 ? norm : 1));
}
/// What one rounding of every result to `dtype`, and sums in another order, may cost.
inline double tolerance(Dtype dtype) {
  return dtype == Dtype::bf16 ? 4e-3 : 2e-6;
}

}  // namespace eddy_test
