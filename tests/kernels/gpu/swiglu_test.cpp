// SwiGLU on the GPU against its CPU twin.
#include "kernels/swiglu/swiglu.h"

#include "padded.h"

using namespace eddy_test;  // NOLINT
namespace kernels = eddy::kernels;

namespace {

struct Size {
  std::int64_t rows, cols, gap;
};
const std::vector<Size> kSizes = {{37, 5, 0}, {71, 64, 8},  {9, 2048, 0},  {3, 18432, 16},
                                  {6, 40, 3}, {513, 24, 0}, {1, 2056, 24}, {0, 64, 0}};

/// The results' tolerance in sums over a row: bf16's sigmoid is a few 1e-7 off.
double sum_tolerance(Dtype dtype) {
  return dtype == Dtype::bf16 ? 5e-6 : tolerance(Dtype::f32);
}

}  // namespace

TEST_CASE("swiglu on the GPU") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16}) {
    for (const auto& [rows, cols, gap] : kSizes) {
      for (const bool weighted : {false, true}) {
        CAPTURE(eddy::name_of(dtype), rows, cols, gap, weighted);
        const Tensor gate_up = random_tensor({rows, 2 * cols}, 1, dtype, 3), weights = random_tensor({rows}, 2);
        const Tensor expected({rows, cols});
        kernels::swiglu({}, gate_up, expected, weighted ? weights.view() : View());
        const Padded in(*gpu, gate_up, dtype, gap), act = Padded::poisoned(*gpu, rows, cols, dtype, gap);
        const Tensor w = upload(*gpu, weights);
        kernels::swiglu(*gpu, in, act, weighted ? w.view() : View());
        CHECK(relative_error(act.host(), expected) < tolerance(dtype));
      }
    }
  }
}

TEST_CASE("swiglu on the GPU at extreme gates") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  const std::vector<float> gates = {-200, -100, -88, -30, 0, 30, 88, 100, 200};
  const auto n = static_cast<std::int64_t>(gates.size());
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16}) {
    CAPTURE(eddy::name_of(dtype));
    Tensor gate_up({n, 2}), dact({n, 1});
    for (std::int64_t i = 0; i < n; ++i) {
      gate_up.f32()[2 * i] = gates[static_cast<std::size_t>(i)];
      gate_up.f32()[2 * i + 1] = dact.f32()[i] = 1;
    }
    const Tensor act({n, 1}), dgate_up({n, 2});
    kernels::swiglu({}, gate_up, act);
    kernels::swiglu_backward({}, dact, gate_up, dgate_up);
    const Padded in(*gpu, gate_up, dtype), back(*gpu, dact, dtype), out = Padded::poisoned(*gpu, n, 1, dtype),
                                                                    d = Padded::poisoned(*gpu, n, 2, dtype);
    kernels::swiglu(*gpu, in, out);
    kernels::swiglu_backward(*gpu, back, in, d);
    CHECK(relative_error(out.host(), act) < tolerance(dtype));
    CHECK(relative_error(d.host(), dgate_up) < tolerance(dtype));
  }
}

TEST_CASE("swiglu_backward on the GPU, in place and not") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16}) {
    for (const auto& [rows, cols, gap] : kSizes) {
      CAPTURE(eddy::name_of(dtype), rows, cols, gap);
      const Tensor gate_up = random_tensor({rows, 2 * cols}, 1, dtype, 3), dact = random_tensor({rows, cols}, 2, dtype);
      const Tensor expected({rows, 2 * cols});
      kernels::swiglu_backward({}, dact, gate_up, expected);
      const Padded in(*gpu, gate_up, dtype, gap), back(*gpu, dact, dtype, gap),
          out = Padded::poisoned(*gpu, rows, 2 * cols, dtype, gap);
      kernels::swiglu_backward(*gpu, back, in, out);
      CHECK(relative_error(out.host(), expected) < tolerance(dtype));
      kernels::swiglu_backward(*gpu, back, in, in);
      CHECK(same_bits(in.host(), out.host()));
    }
  }
}

TEST_CASE("swiglu_weighted_backward on the GPU, in place and not") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16}) {
    for (const auto& [rows, cols, gap] : kSizes) {
      CAPTURE(eddy::name_of(dtype), rows, cols, gap);
      const Tensor gate_up = random_tensor({rows, 2 * cols}, 1, dtype, 3), dact = random_tensor({rows, cols}, 2, dtype),
                   weights = random_tensor({rows}, 3);
      const Tensor dgate_up({rows, 2 * cols}), dweights({rows}), act({rows, cols});
      kernels::swiglu_weighted_backward({}, dact, gate_up, weights, dgate_up, dweights, act);
      const Padded in(*gpu, gate_up, dtype, gap), back(*gpu, dact, dtype, gap),
          out = Padded::poisoned(*gpu, rows, 2 * cols, dtype, gap),
          again = Padded::poisoned(*gpu, rows, cols, dtype, gap), dw = Padded::poisoned(*gpu, rows, 1),
          dw_in_place = Padded::poisoned(*gpu, rows, 1);
      const Tensor w = upload(*gpu, weights);
      kernels::swiglu_weighted_backward(*gpu, back, in, w, out, dw.view().reshape({rows}), again);
      CHECK(relative_error(out.host(), dgate_up) < tolerance(dtype));
      CHECK(relative_error(again.host(), act) < tolerance(dtype));
      CHECK(relative_error(dw.host(), dweights) < sum_tolerance(dtype));
      kernels::swiglu_weighted_backward(*gpu, back, in, w, in, dw_in_place.view().reshape({rows}), back);
      CHECK(same_bits(in.host(), out.host()));
      CHECK(same_bits(back.host(), again.host()));
      CHECK(same_bits(dw_in_place.host(), dw.host()));
    }
  }
}
