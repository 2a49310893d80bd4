#include <algorithm>

#include "kernels/adamw/adamw_cuda.h"
#include "kernels/common/cuda.cuh"

namespace eddy::kernels::cuda {
namespace {

constexpr int kThreads = 256;

/// The step's factors, as the CPU twin forms them.
struct Factors {
  float grad_scale, beta1, rest1, beta2, rest2, keep, rate, inverse2, eps;
};

/// kUnroll packs of N elements a thread; kValue: a bf16 copy is written.
template <int kUnroll, int N, bool kValue, class M>
__global__ void __launch_bounds__(kThreads)
    update(float* param, const float* grad, M* m, M* v, bf16* value, std::int64_t packs, Factors f) {
  const std::int64_t first = std::int64_t{blockIdx.x} * kUnroll * kThreads + threadIdx.x;
  Pack<float, N> p[kUnroll], g[kUnroll];
  Pack<M, N> a[kUnroll], b[kUnroll];
#pragma unroll
  for (int u = 0; u < kUnroll; ++u) {
    const std::int64_t i = (first + u * kThreads) * N;
    if (first + u * kThreads >= packs) continue;
    g[u] = load_pack<N>(grad + i);
    a[u] = load_pack<N>(m + i);
    b[u] = load_pack<N>(v + i);
    p[u] = load_pack<N>(param + i);
  }
#pragma unroll
  for (int u = 0; u < kUnroll; ++u) {
    const std::int64_t i = (first + u * kThreads) * N;
    if (first + u * kThreads >= packs) continue;
    float now[N], first_moment[N], second_moment[N];
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const float d = g[u].v[k] * f.grad_scale;
      first_moment[k] = f.beta1 * to_float(a[u].v[k]) + f.rest1 * d;
      second_moment[k] = f.beta2 * to_float(b[u].v[k]) + f.rest2 * (d * d);
      now[k] = p[u].v[k] * f.keep - f.rate * first_moment[k] / (sqrtf(second_moment[k] * f.inverse2) + f.eps);
    }
    store_pack(m + i, pack_of<M>(first_moment));
    store_pack(v + i, pack_of<M>(second_moment));
    store_pack(param + i, pack_of<float>(now));
    if constexpr (kValue) store_pack(value + i, pack_of<bf16>(now));
  }
}

template <class M>
struct Slices {
  float* param;
  const float* grad;
  M *m, *v;
  bf16* value;  ///< may be null

  /// Elements [begin, end) in packs of N; end - begin is a multiple of N.
  template <int N>
  void run(const Stream& stream, std::int64_t begin, std::int64_t end, const Factors& f) const {
    if (begin == end) return;
    constexpr int kUnroll = N == 1 ? 4 : 1;
    const std::int64_t packs = (end - begin) / N;
    const auto go = [&](auto with_value) {
      constexpr bool kValue = decltype(with_value)::value;
      update<kUnroll, N, kValue, M>
          <<<static_cast<unsigned>(ceil_div(packs, kThreads * kUnroll)), kThreads, 0, device::native(stream)>>>(
              param + begin, grad + begin, m + begin, v + begin, kValue ? value + begin : nullptr, packs, f);
      check_launch();
    };
    if (value)
      go(std::true_type{});
    else
      go(std::false_type{});
  }
  /// May all be read four elements at a time from `begin` on?
  bool aligned(std::int64_t begin) const {
    const auto at = [&](const auto* data) {
      return reinterpret_cast<std::uintptr_t>(data + begin) % (4 * sizeof(*data)) == 0;
    };
    return at(param) && at(grad) && at(m) && at(v) && (!value || at(value));
  }
};

}  // namespace

void adamw(const Stream& stream, View param, View grad, View m, View v, const AdamwStep& step, View value) {
  const std::int64_t n = param.numel();
  expect_vector(param, Dtype::f32, n, "adamw", "param");
  expect_vector(grad, Dtype::f32, n, "adamw", "grad");
  expect_vector(m, m.dtype, n, "adamw", "m");
  expect_vector(v, m.dtype, n, "adamw", "v");
  if (value) expect_vector(value, Dtype::bf16, n, "adamw", "value");
  const auto count = static_cast<double>(n);
  const Span span(stream, "adamw",
                  {count * (12 + 4 * static_cast<double>(size_of(m.dtype)) + (value ? 2 : 0)), 15 * count});
  if (n == 0) return;
  const Factors f{step.grad_scale,
                  step.beta1,
                  1.0f - step.beta1,
                  step.beta2,
                  1.0f - step.beta2,
                  1.0f - step.lr * step.weight_decay,
                  step.lr / step.correction1,
                  1.0f / step.correction2,
                  step.eps};
  with_type(m.dtype, "adamw", [&](auto t) {
    using M = decltype(t);
    const Slices<M> slices{static_cast<float*>(param.data), static_cast<const float*>(grad.data),
                           static_cast<M*>(m.data), static_cast<M*>(v.data), static_cast<bf16*>(value.data)};
    // A slice may begin anywhere in its flat buffer: single elements up to where all four or five are aligned.
    std::int64_t head = 0;
    while (head < 4 && !slices.aligned(head)) ++head;
    if (head == 4) return slices.template run<1>(stream, 0, n, f);  // they never are
    head = std::min(head, n);
    const std::int64_t tail = head + (n - head) / 4 * 4;
    slices.template run<1>(stream, 0, head, f);
    slices.template run<4>(stream, head, tail, f);
    slices.template run<1>(stream, tail, n, f);
  });
}

}  // namespace eddy::kernels::cuda
