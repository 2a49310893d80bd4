#include <fmt/format.h>

#include "bench_kernel_cases.h"
#include "kernels/gemm/gemm.h"
#include "kernels/grouped_gemm/grouped_gemm.h"

namespace eddy {
namespace {

using namespace kernels;  // NOLINT: every call below is a kernel
using tensor::View;
using Call = std::function<void()>;

constexpr Way kWays[] = {Way::forward, Way::input_gradient, Way::weight_gradient};

std::string size_of_product(const std::string& what, std::int64_t m, std::int64_t n, std::int64_t k, Way way) {
  const char* const names[] = {"", ", input gradient", ", weight gradient"};
  return fmt::format("{} {} x {} x {}{}", what, m, n, k, names[static_cast<int>(way)]);
}

/// What all products of one shape have: x [m, k], dy [m, n], and w or its gradient.
struct Operands {
  View x, dy, w, dw;
  Operands(OperandSet& s, std::int64_t m, const tensor::Shape& weights, Way way)
      : x(s.random({m, weights[weights.rank() - 1]})), dy(s.random({m, weights[weights.rank() - 2]})) {
    if (way == Way::weight_gradient)
      dw = s.zeros(weights, Dtype::f32);
    else
      w = s.random(weights);
  }
};

KernelCase experts_product(const SliceSizes& z, const std::string& what, std::int64_t n, std::int64_t k, Way way,
                           float beta) {
  const std::int64_t rows = z.tokens * z.top_k;
  const bool weights = way == Way::weight_gradient;
  KernelCase c{weights ? "grouped_gemm_backward_weight" : "grouped_gemm",
               size_of_product(what, rows, n, k, way),
               beta == 0 ? 3 : 0,
               "gemm " + size_of_product(what, rows, n, k, way),
               {}};
  if (beta != 0) c.size += ", added";
  c.make = [=](OperandSet& s) -> Call {
    const Operands o(s, rows, {z.experts, n, k}, way);
    const Routing routing(s, z);
    return [&st = s.stream(), o, way, beta, offsets = routing.offsets] {
      if (way == Way::forward) grouped_gemm(st, o.x, o.w, true, offsets, o.dy);
      if (way == Way::input_gradient) grouped_gemm(st, o.dy, o.w, false, offsets, o.x);
      if (way == Way::weight_gradient) grouped_gemm_backward_weight(st, o.dy, o.x, offsets, o.dw, beta);
    };
  };
  return c;
}

}  // namespace

KernelCase dense_product(const std::string& what, std::int64_t m, std::int64_t n, std::int64_t k, Way way) {
  return {"gemm", size_of_product(what, m, n, k, way), 0, "", [=](OperandSet& s) -> Call {
            const Operands o(s, m, {n, k}, way);
            return [&st = s.stream(), o, way] {
              if (way == Way::forward) linear(st, o.x, o.w, o.dy);
              if (way == Way::input_gradient) linear_backward_input(st, o.dy, o.w, o.x);
              if (way == Way::weight_gradient) linear_backward_weight(st, o.dy, o.x, o.dw, 0);
            };
          }};
}

std::vector<KernelCase> product_cases(const SliceSizes& z) {
  std::vector<KernelCase> cases;
  const auto dense = [&](const char* what, std::int64_t m, std::int64_t n, std::int64_t k) {
    for (const Way way : kWays) cases.push_back(dense_product(what, m, n, k, way));
  };
  dense("dense gate_up", z.tokens, 2 * z.dense, z.hidden);
  dense("q_b", z.tokens, z.heads * (z.nope + z.rope), z.q_lora);
  dense("o", z.tokens, z.hidden, std::int64_t{z.heads} * z.value);
  dense("head", z.tokens, z.vocab, z.hidden);
  const auto experts = [&](const char* what, std::int64_t n, std::int64_t k) {
    dense(what, z.tokens * z.top_k, n, k);
    for (const Way way : kWays) cases.push_back(experts_product(z, what, n, k, way, 0));
    cases.push_back(experts_product(z, what, n, k, Way::weight_gradient, 1));
  };
  experts("gate_up", 2 * z.expert, z.hidden);
  experts("down", z.hidden, z.expert);
  return cases;
}

}  // namespace eddy
