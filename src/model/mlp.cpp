#include "model/mlp.h"

#include "kernels/gemm/gemm.h"
#include "kernels/swiglu/swiglu.h"

namespace eddy::model {
using namespace kernels;  // NOLINT
using tensor::Tensor;
using tensor::View;

namespace {
/// Two matrices that lie one behind the other as one, [a.rows + b.rows, cols]; empty where they do not.
View joined(View a, View b) {
  if (!a || !b || static_cast<char*>(a.data) + a.bytes() != b.data) return {};
  return {a.data, a.dtype, {a.rows() + b.rows(), a.cols()}};
}
}  // namespace

void mlp_hidden(const Context& ctx, const MlpWeights& w, bool split, View x, MlpSaved& s) {
  const bool gathers = split && ctx.tp() > 1;
  if (gathers) s.gathered = gather_tokens(ctx, x);
  const View in = gathers ? s.gathered.view() : x;
  const std::int64_t width = w.gate->value.rows();
  s.gate_up = ctx.make({in.rows(), 2 * width});
  if (const View both = joined(w.gate->value, w.up->value)) {
    linear(ctx.stream, in, both, s.gate_up);
  } else {
    linear(ctx.stream, in, w.gate->value, s.gate_up.view().col_range(0, width));
    linear(ctx.stream, in, w.up->value, s.gate_up.view().col_range(width, 2 * width));
  }
  s.act = ctx.make({in.rows(), width});
  swiglu(ctx.stream, s.gate_up, s.act);
}

Tensor mlp_out(const Context& ctx, const MlpWeights& w, bool split, View residual, const MlpSaved& s) {
  if (split) return project_out(ctx, s.act, w.down->value, residual);
  Tensor out = ctx.make({s.act.shape()[0], ctx.config.hidden_size});
  gemm(ctx.stream, s.act, false, w.down->value, true, out, 1, 1, residual);
  return out;
}

Tensor mlp_forward(const Context& ctx, const MlpWeights& w, bool split, View x, View residual, MlpSaved& s) {
  mlp_hidden(ctx, w, split, x, s);
  return mlp_out(ctx, w, split, residual, s);
}

Tensor mlp_backward(const Context& ctx, const MlpWeights& w, bool split, const std::shared_ptr<Tensor>& x, MlpSaved s,
                    View d_out, WeightGradients* deferred) {
  const bool gathers = split && ctx.tp() > 1;
  if (gathers && !s.gathered) s.gathered = gather_tokens(ctx, *x);
  Tensor full = gathers ? gather_tokens(ctx, d_out) : Tensor();
  const View dy = gathers ? full.view() : d_out;
  const std::int64_t width = w.gate->value.rows();
  if (!s.act) {
    s.act = ctx.make({dy.rows(), width});
    swiglu(ctx.stream, s.gate_up, s.act);
  }
  Tensor d_act = ctx.make({dy.rows(), width});
  linear_backward_input(ctx.stream, dy, w.down->value, d_act);
  // d_out belongs to the caller, so this product is not put off.
  if (w.down->grad) linear_backward_weight(ctx.stream, dy, s.act, w.down->grad, w.down->grad_beta());
  s.act.reset();
  swiglu_backward(ctx.stream, d_act, s.gate_up, s.gate_up);
  d_act.reset();
  Tensor dx = ctx.make({dy.rows(), ctx.config.hidden_size});
  const View d_gate = s.gate_up.view().col_range(0, width), d_up = s.gate_up.view().col_range(width, 2 * width);
  if (const View both = joined(w.gate->value, w.up->value)) {
    linear_backward_input(ctx.stream, s.gate_up, both, dx);
  } else {
    linear_backward_input(ctx.stream, d_gate, w.gate->value, dx);
    linear_backward_input(ctx.stream, d_up, w.up->value, dx, 1);
  }
  if (w.gate->grad || w.up->grad)
    weight_gradient(deferred, [stream = ctx.stream, d = std::move(s.gate_up), gathered = std::move(s.gathered), x,
                               width, gate = w.gate, up = w.up] {
      const View in = gathered ? gathered.view() : x->view();
      const View both = joined(gate->grad, up->grad);
      const float beta_gate = gate->grad_beta(), beta_up = up->grad_beta();
      if (both && beta_gate == beta_up) return linear_backward_weight(stream, d, in, both, beta_gate);
      if (gate->grad) linear_backward_weight(stream, d.view().col_range(0, width), in, gate->grad, beta_gate);
      if (up->grad) linear_backward_weight(stream, d.view().col_range(width, 2 * width), in, up->grad, beta_up);
    });
  return split ? scatter_tokens(ctx, std::move(dx)) : std::move(dx);
}

}  // namespace eddy::model
