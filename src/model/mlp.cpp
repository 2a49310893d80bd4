#include "model/mlp.h"

#include "kernels/gemm/gemm.h"
#include "kernels/swiglu/swiglu.h"

namespace eddy::model {
using namespace kernels;  // NOLINT
using tensor::Tensor;
using tensor::View;

Tensor mlp_forward(const Context& ctx, const MlpWeights& w, bool split, View x, MlpSaved& s) {
  const bool gathers = split && ctx.tp() > 1;
  if (gathers) s.gathered = gather_tokens(ctx, x);
  const View in = gathers ? s.gathered.view() : x;
  const std::int64_t width = w.gate->value.rows();
  s.gate_up = Tensor({in.rows(), 2 * width});
  linear(ctx.stream, in, w.gate->value, s.gate_up.view().col_range(0, width));
  linear(ctx.stream, in, w.up->value, s.gate_up.view().col_range(width, 2 * width));
  s.act = Tensor({in.rows(), width});
  swiglu(ctx.stream, s.gate_up, s.act);
  Tensor out({in.rows(), ctx.config.hidden_size});
  linear(ctx.stream, s.act, w.down->value, out);
  return split ? scatter_tokens(ctx, std::move(out)) : std::move(out);
}

Tensor mlp_backward(const Context& ctx, const MlpWeights& w, bool split, const std::shared_ptr<Tensor>& x, MlpSaved s,
                    View d_out, WeightGradients* deferred) {
  const bool gathers = split && ctx.tp() > 1;
  if (gathers && !s.gathered) s.gathered = gather_tokens(ctx, *x);
  Tensor full = gathers ? gather_tokens(ctx, d_out) : Tensor();
  const View dy = gathers ? full.view() : d_out;
  const std::int64_t width = w.gate->value.rows();
  if (!s.act) {
    s.act = Tensor({dy.rows(), width});
    swiglu(ctx.stream, s.gate_up, s.act);
  }
  Tensor d_act({dy.rows(), width});
  linear_backward_input(ctx.stream, dy, w.down->value, d_act);
  // d_out belongs to the caller, so this product is not put off.
  if (w.down->grad) linear_backward_weight(ctx.stream, dy, s.act, w.down->grad);
  swiglu_backward(ctx.stream, d_act, s.gate_up, s.gate_up);
  Tensor dx({dy.rows(), ctx.config.hidden_size});
  const View d_gate = s.gate_up.view().col_range(0, width), d_up = s.gate_up.view().col_range(width, 2 * width);
  linear_backward_input(ctx.stream, d_gate, w.gate->value, dx);
  linear_backward_input(ctx.stream, d_up, w.up->value, dx, 1);
  if (w.gate->grad || w.up->grad)
    weight_gradient(deferred, [stream = ctx.stream, d = std::move(s.gate_up), gathered = std::move(s.gathered), x,
                               width, gate = w.gate, up = w.up] {
      const View in = gathered ? gathered.view() : x->view();
      if (gate->grad) linear_backward_weight(stream, d.view().col_range(0, width), in, gate->grad);
      if (up->grad) linear_backward_weight(stream, d.view().col_range(width, 2 * width), in, up->grad);
    });
  return split ? scatter_tokens(ctx, std::move(dx)) : std::move(dx);
}

}  // namespace eddy::model
