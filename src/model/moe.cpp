#include "model/moe.h"

#include <numeric>

#include "kernels/elementwise/elementwise.h"
#include "kernels/gemm/gemm.h"
#include "kernels/grouped_gemm/grouped_gemm.h"
#include "kernels/permute/permute.h"
#include "kernels/swiglu/swiglu.h"
#include "model/balance.h"

namespace eddy::model {
using namespace kernels;  // NOLINT
using parallel::return_from_experts;
using parallel::send_to_experts;
using tensor::Tensor;
using tensor::View;

namespace {

/// 0, 1, 2, …: rows in their own order, for kernels that take a row list.
Tensor own_order(std::int64_t n) {
  Tensor t({n}, Dtype::i32);
  std::iota(t.i32(), t.i32() + n, 0);
  return t;
}

/// Each pair's value [P, 1] in send order from a [t, k] table.
Tensor in_send_order(const MoeSaved& s, View table) {
  Tensor out({s.plan.pairs, 1});
  const std::int32_t* slots = s.plan.slots.i32();
  for (std::int64_t i = 0; i < table.numel(); ++i)
    if (slots[i] >= 0) out.f32()[slots[i]] = table.f32()[i];
  return out;
}
/// The reverse; pairs that went nowhere get 0.
Tensor by_choice(const MoeSaved& s, View pairs) {
  Tensor out(s.weights.shape());
  const std::int32_t* slots = s.plan.slots.i32();
  for (std::int64_t i = 0; i < out.view().numel(); ++i) out.f32()[i] = slots[i] >= 0 ? pairs.f32()[slots[i]] : 0.f;
  return out;
}

void activate(const Context& ctx, MoeSaved& s) {
  s.act = Tensor({s.plan.received, s.gate_up.shape()[1] / 2});
  swiglu(ctx.stream, s.gate_up, s.act);
}
/// The experts' second operand: act times each row's weight.
Tensor weighted(const Context& ctx, const MoeSaved& s) {
  Tensor out(s.act.shape());
  gather_rows_scaled(ctx.stream, s.act, own_order(s.plan.received), s.row_weights, out);
  return out;
}

}  // namespace

std::size_t MoeSaved::bytes() const {
  std::size_t n = plan.bytes() + shared.bytes();
  for (const Tensor* t : {&scores, &indices, &weights, &row_weights, &rows, &gate_up, &act, &balance_share})
    n += t->bytes();
  return n;
}
void MoeSaved::drop_activations() {
  act.reset();
  shared.drop_activations();
}
void MoeSaved::drop_all_but_routing() {
  for (Tensor* t : {&scores, &weights, &row_weights, &rows, &gate_up, &act}) t->reset();
  shared = {};
}

Tensor moe_forward(const Context& ctx, const MoeWeights& w, const MicroBatch& batch, View valid, View x, MoeSaved& s,
                   std::vector<std::int64_t>* counts) {
  const auto& c = ctx.config;
  comm::Communicator& ep = *ctx.groups.ep;
  const std::int64_t own = x.rows(), experts = c.n_routed_experts, k = c.top_k;
  Tensor logits({own, experts});
  linear(ctx.stream, x, w.gate->value, logits);
  s.scores = Tensor({own, experts});
  s.weights = Tensor({own, k});
  if (s.indices) {
    router_replay(ctx.stream, logits, s.indices, ctx.router, s.scores, s.weights);
  } else {
    s.indices = Tensor({own, k}, Dtype::i32);
    router(ctx.stream, logits, w.bias ? w.bias->value : View(), local_tokens(ctx, valid), ctx.router, s.scores,
           s.indices, s.weights);
    s.plan = parallel::plan_dispatch(ep, s.indices, c.n_routed_experts);
    if (counts)
      for (std::int64_t i = 0; i < own * k; ++i)
        if (s.indices.i32()[i] >= 0) ++(*counts)[static_cast<std::size_t>(s.indices.i32()[i])];
    if (ctx.options.balance_loss > 0) s.balance_share = balance_share(ctx, batch, s.indices);
  }

  Tensor sending({s.plan.pairs, c.hidden_size});
  gather_rows(ctx.stream, x, s.plan.send_tokens, sending);
  s.rows = send_to_experts(ctx.stream, ep, s.plan, sending);
  s.row_weights = send_to_experts(ctx.stream, ep, s.plan, in_send_order(s, s.weights));
  sending.reset();
  s.gate_up = Tensor({s.plan.received, 2 * c.moe_intermediate_size});
  grouped_gemm(ctx.stream, s.rows, w.gate_up->value, true, s.plan.offsets, s.gate_up);
  activate(ctx, s);
  Tensor results({s.plan.received, c.hidden_size});
  grouped_gemm(ctx.stream, weighted(ctx, s), w.down->value, true, s.plan.offsets, results);
  const Tensor back = return_from_experts(ctx.stream, ep, s.plan, results);
  Tensor out;
  if (w.shared) out = mlp_forward(ctx, *w.shared, false, x, s.shared);
  const bool accumulate = static_cast<bool>(out);
  if (!out) out = Tensor({own, c.hidden_size});
  combine_rows(ctx.stream, back, s.plan.slots, {}, accumulate, out);
  return out;
}

Tensor moe_backward(const Context& ctx, const MoeWeights& w, const MicroBatch& batch, const std::shared_ptr<Tensor>& x,
                    MoeSaved s, View d_out, double balance_scale, WeightGradients* deferred) {
  const auto& c = ctx.config;
  comm::Communicator& ep = *ctx.groups.ep;
  const std::int64_t own = d_out.rows();
  if (!s.act) activate(ctx, s);

  Tensor sending({s.plan.pairs, c.hidden_size});
  gather_rows(ctx.stream, d_out, s.plan.send_tokens, sending);
  Tensor d_results = send_to_experts(ctx.stream, ep, s.plan, sending);  // [R, hidden]
  sending.reset();
  Tensor d_weighted(s.act.shape());
  grouped_gemm(ctx.stream, d_results, w.down->value, false, s.plan.offsets, d_weighted);
  if (w.down->grad)
    weight_gradient(deferred,
                    [stream = ctx.stream, d = std::move(d_results), in = weighted(ctx, s), offsets = s.plan.offsets,
                     p = w.down] { grouped_gemm_backward_weight(stream, d, in, offsets, p->grad); });
  Tensor d_row_weights({s.plan.received, 1});
  const Tensor order = own_order(s.plan.received);
  combine_rows_backward_weights(ctx.stream, d_weighted, s.act, order.view().reshape({s.plan.received, 1}),
                                d_row_weights);
  Tensor d_act(s.act.shape());
  gather_rows_scaled(ctx.stream, d_weighted, order, s.row_weights, d_act);
  swiglu_backward(ctx.stream, d_act, s.gate_up, s.gate_up);
  Tensor d_rows({s.plan.received, c.hidden_size});
  grouped_gemm(ctx.stream, s.gate_up, w.gate_up->value, false, s.plan.offsets, d_rows);
  if (w.gate_up->grad)
    weight_gradient(deferred,
                    [stream = ctx.stream, d = std::move(s.gate_up), in = std::move(s.rows), offsets = s.plan.offsets,
                     p = w.gate_up] { grouped_gemm_backward_weight(stream, d, in, offsets, p->grad); });
  const Tensor back = return_from_experts(ctx.stream, ep, s.plan, d_rows);
  const Tensor d_weights = by_choice(s, return_from_experts(ctx.stream, ep, s.plan, d_row_weights));

  Tensor dx;
  if (w.shared) dx = mlp_backward(ctx, *w.shared, false, x, std::move(s.shared), d_out, deferred);
  const bool accumulate = static_cast<bool>(dx);
  if (!dx) dx = Tensor({own, c.hidden_size});
  combine_rows(ctx.stream, back, s.plan.slots, {}, accumulate, dx);

  Tensor d_logits(s.scores.shape()), d_scores;
  if (s.balance_share && balance_scale != 0)
    d_scores = balance_backward(ctx, batch, s.scores, s.indices, s.balance_share, balance_scale);
  router_backward(ctx.stream, d_weights, s.scores, s.indices, d_scores, ctx.router, d_logits);
  linear_backward_input(ctx.stream, d_logits, w.gate->value, dx, 1);
  if (w.gate->grad)
    weight_gradient(deferred, [stream = ctx.stream, d = std::move(d_logits), x, p = w.gate] {
      linear_backward_weight(stream, d, *x, p->grad);
    });
  return dx;
}

}  // namespace eddy::model
