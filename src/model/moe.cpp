#include "model/moe.h"

#include "kernels/elementwise/elementwise.h"
#include "kernels/gemm/gemm.h"
#include "kernels/grouped_gemm/grouped_gemm.h"
#include "kernels/permute/permute.h"
#include "kernels/swiglu/swiglu.h"
#include "model/balance.h"

namespace eddy::model {
using namespace kernels;  // NOLINT
using parallel::DispatchPlan;
using parallel::return_from_experts;
using parallel::send_to_experts;
using tensor::Tensor;
using tensor::View;

namespace {

/// Each pair's value [P, 1] in send order from a [t, k] table.
Tensor in_send_order(const Context& ctx, const DispatchPlan& plan, View table) {
  Tensor out = ctx.make({plan.pairs, 1}, Dtype::f32);
  gather_rows(ctx.stream, table.reshape({table.numel(), 1}), plan.send_pairs.view().row_range(0, plan.pairs), out);
  return out;
}
/// The reverse: [t, k]; pairs that went nowhere get 0.
Tensor by_choice(const Context& ctx, const DispatchPlan& plan, View pairs) {
  const View slots = plan.slots;
  Tensor out = ctx.make(slots.shape, Dtype::f32);
  gather_rows(ctx.stream, pairs, slots.reshape({slots.numel()}), out.view().reshape({slots.numel(), 1}));
  return out;
}
/// Each pair's row [P, W] in send order from a row a token.
Tensor rows_to_send(const Context& ctx, const DispatchPlan& plan, View x) {
  Tensor out = ctx.make({plan.pairs, x.cols()});
  gather_rows(ctx.stream, x, plan.send_tokens.view().row_range(0, plan.pairs), out);
  return out;
}

void choose(const Context& ctx, const MoeWeights& w, const MicroBatch& batch, View valid, View logits, MoeSaved& s,
            View counts, const RoutingHook& hook) {
  const auto& c = ctx.config;
  if (s.indices) return router_replay(ctx.stream, logits, s.indices, ctx.router, s.scores, s.weights);
  s.indices = ctx.make({logits.rows(), c.top_k}, Dtype::i32);
  router(ctx.stream, logits, w.bias ? w.bias->value : View(), local_tokens(ctx, valid), ctx.router, s.scores, s.indices,
         s.weights);
  if (hook) {
    const Tensor chosen = tensor::to_host(ctx.stream, s.indices);
    hook(chosen);
    device::copy_to_device(ctx.stream, chosen.view().data, s.indices.view().data, s.indices.bytes());
    router_replay(ctx.stream, logits, s.indices, ctx.router, s.scores, s.weights);
  }
  s.plan = parallel::plan_dispatch(ctx.stream, *ctx.groups.ep, s.indices, c.n_routed_experts, counts);
  if (ctx.options.balance_loss > 0) s.balance_share = balance_share(ctx, batch, s.indices);
}

}  // namespace

std::size_t MoeSaved::bytes() const {
  std::size_t n = plan.bytes() + shared.bytes();
  for (const Tensor* t : {&scores, &indices, &weights, &row_weights, &rows, &gate_up, &balance_share}) n += t->bytes();
  return n;
}
void MoeSaved::drop_activations() {
  shared.drop_activations();
}
void MoeSaved::drop_all_but_routing() {
  for (Tensor* t : {&scores, &weights, &row_weights, &rows, &gate_up}) t->reset();
  shared = {};
}

Tensor moe_forward(const Context& ctx, const MoeWeights& w, const MicroBatch& batch, View valid, View x, View residual,
                   MoeSaved& s, View counts, const RoutingHook& hook) {
  const auto& c = ctx.config;
  comm::Communicator& ep = *ctx.groups.ep;
  const std::int64_t own = x.rows(), experts = c.n_routed_experts;
  Tensor logits = ctx.make({own, experts}, Dtype::f32);
  linear(ctx.stream, x, w.gate->value, logits);
  s.scores = ctx.make({own, experts}, Dtype::f32);
  s.weights = ctx.make({own, c.top_k}, Dtype::f32);
  choose(ctx, w, batch, valid, logits, s, counts, hook);
  logits.reset();

  s.rows = send_to_experts(ctx.stream, ep, s.plan, rows_to_send(ctx, s.plan, x));
  s.row_weights = send_to_experts(ctx.stream, ep, s.plan, in_send_order(ctx, s.plan, s.weights));
  s.gate_up = ctx.make({s.plan.received, 2 * c.moe_intermediate_size});
  grouped_gemm(ctx.stream, s.rows, w.gate_up->value, true, s.plan.offsets, s.gate_up);
  Tensor act = ctx.make({s.plan.received, c.moe_intermediate_size});  // times each row's weight
  swiglu(ctx.stream, s.gate_up, act, s.row_weights.view().reshape({s.plan.received}));
  Tensor results = ctx.make({s.plan.received, c.hidden_size});
  grouped_gemm(ctx.stream, act, w.down->value, true, s.plan.offsets, results);
  act.reset();
  const Tensor back = return_from_experts(ctx.stream, ep, s.plan, std::move(results));
  Tensor out;
  if (w.shared) {
    out = mlp_forward(ctx, *w.shared, false, x, residual, s.shared);
  } else {
    out = ctx.make({own, c.hidden_size});
    copy(ctx.stream, residual, out);
  }
  combine_rows(ctx.stream, back, s.plan.slots, {}, true, out);
  return out;
}

Tensor moe_backward(const Context& ctx, const MoeWeights& w, const MicroBatch& batch, const std::shared_ptr<Tensor>& x,
                    MoeSaved s, View d_out, double balance_scale, WeightGradients* deferred) {
  const auto& c = ctx.config;
  comm::Communicator& ep = *ctx.groups.ep;
  const std::int64_t own = d_out.rows(), received = s.plan.received;
  // What is put off reads the plan's offsets, which live here until then.
  const auto plan = std::make_shared<DispatchPlan>(std::move(s.plan));
  Tensor d_results = send_to_experts(ctx.stream, ep, *plan, rows_to_send(ctx, *plan, d_out));  // [R, hidden]
  Tensor act = ctx.make({received, c.moe_intermediate_size});  // first the gradient of the weighted activation
  grouped_gemm(ctx.stream, d_results, w.down->value, false, plan->offsets, act);
  Tensor d_row_weights = ctx.make({received, 1}, Dtype::f32);
  swiglu_weighted_backward(ctx.stream, act, s.gate_up, s.row_weights.view().reshape({received}), s.gate_up,
                           d_row_weights.view().reshape({received}), act);
  if (w.down->grad)
    weight_gradient(deferred, [stream = ctx.stream, d = std::move(d_results), in = std::move(act), plan, p = w.down] {
      grouped_gemm_backward_weight(stream, d, in, plan->offsets, p->grad, p->grad_beta());
    });
  d_results.reset();
  act.reset();
  Tensor d_rows = ctx.make({received, c.hidden_size});
  grouped_gemm(ctx.stream, s.gate_up, w.gate_up->value, false, plan->offsets, d_rows);
  if (w.gate_up->grad)
    weight_gradient(deferred,
                    [stream = ctx.stream, d = std::move(s.gate_up), in = std::move(s.rows), plan, p = w.gate_up] {
                      grouped_gemm_backward_weight(stream, d, in, plan->offsets, p->grad, p->grad_beta());
                    });
  s.gate_up.reset();
  s.rows.reset();
  const Tensor back = return_from_experts(ctx.stream, ep, *plan, std::move(d_rows));
  const Tensor d_weights = by_choice(ctx, *plan, return_from_experts(ctx.stream, ep, *plan, std::move(d_row_weights)));

  Tensor dx;
  if (w.shared) dx = mlp_backward(ctx, *w.shared, false, x, std::move(s.shared), d_out, deferred);
  const bool accumulate = static_cast<bool>(dx);
  if (!dx) dx = ctx.make({own, c.hidden_size});
  combine_rows(ctx.stream, back, plan->slots, {}, accumulate, dx);

  Tensor d_logits = ctx.make(s.scores.shape()), d_scores;
  if (s.balance_share && balance_scale != 0)
    d_scores = balance_backward(ctx, batch, s.scores, s.indices, s.balance_share, balance_scale);
  router_backward(ctx.stream, d_weights, s.scores, s.indices, d_scores, ctx.router, d_logits);
  linear_backward_input(ctx.stream, d_logits, w.gate->value, dx, 1);
  if (w.gate->grad)
    weight_gradient(deferred, [stream = ctx.stream, d = std::move(d_logits), x, p = w.gate] {
      linear_backward_weight(stream, d, *x, p->grad, p->grad_beta());
    });
  return dx;
}

}  // namespace eddy::model
