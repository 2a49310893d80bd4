#include "model/moe.h"

#include "kernels/elementwise/elementwise.h"
#include "kernels/gemm/gemm.h"
#include "kernels/grouped_gemm/grouped_gemm.h"
#include "kernels/swiglu/swiglu.h"
#include "model/balance.h"

namespace eddy::model {
using namespace kernels;  // NOLINT
using parallel::DispatchPlan;
using parallel::DispatchWave;
using parallel::Transit;
using tensor::Tensor;
using tensor::View;

namespace {

/// The experts' first product of a wave: [R, hidden] → [R, 2·width].
Tensor gate_up_of(const Context& ctx, const MoeWeights& w, const DispatchWave& wave, View rows) {
  Tensor out = ctx.make({wave.rows, 2 * ctx.config.moe_intermediate_size});
  grouped_gemm(ctx.stream, rows, w.gate_up->value, true, wave.offsets, out);
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
  const int ranks = ctx.groups.ep->size();
  const std::int64_t capacity =
      parallel::planned_rows(logits.rows(), c.top_k, c.n_routed_experts, ranks, ctx.options.expert_capacity);
  s.plan =
      parallel::plan_dispatch(ctx.stream, *ctx.groups.ep, s.indices, s.weights, c.n_routed_experts, capacity, counts);
  if (ctx.options.balance_loss > 0) s.balance_share = balance_share(ctx, batch, s.indices);
}

}  // namespace

std::size_t MoeSaved::bytes() const {
  std::size_t n = plan.bytes() + shared.bytes();
  for (const Tensor* t : {&scores, &indices, &weights, &rows, &gate_up, &balance_share}) n += t->bytes();
  return n;
}
void MoeSaved::drop_activations() {
  shared.drop_activations();
}
void MoeSaved::drop_all_but_routing() {
  for (Tensor* t : {&scores, &weights, &rows, &gate_up}) t->reset();
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

  // The shared expert computes while rows travel: one half on their way there, the other on the way back.
  Tensor back, out;
  const std::size_t waves = s.plan.waves.size();
  for (std::size_t i = 0; i < waves; ++i) {
    const DispatchWave& wave = s.plan.waves[i];
    Transit coming = begin_to_experts(ctx.stream, ep, s.plan, wave, x);
    if (i == 0 && w.shared) mlp_hidden(ctx, *w.shared, false, x, s.shared);
    Tensor rows = receive_at_experts(ctx.stream, wave, x, std::move(coming)), gate_up = gate_up_of(ctx, w, wave, rows);
    if (i == 0) s.rows = std::move(rows);
    rows.reset();
    Tensor act = ctx.make({wave.rows, c.moe_intermediate_size});  // times each row's weight
    swiglu(ctx.stream, gate_up, act, wave.weights.view().reshape({wave.rows}));
    if (i == 0) s.gate_up = std::move(gate_up);
    gate_up.reset();
    Tensor results = ctx.make({wave.rows, c.hidden_size});
    grouped_gemm(ctx.stream, act, w.down->value, true, wave.offsets, results);
    act.reset();
    Transit going = begin_from_experts(ctx.stream, ep, s.plan, wave, std::move(results), back);
    if (i + 1 == waves && w.shared) out = mlp_out(ctx, *w.shared, false, residual, s.shared);
    end_transit(ctx.stream, std::move(going));
  }
  if (!w.shared) {
    out = ctx.make({own, c.hidden_size});
    copy(ctx.stream, residual, out);
  }
  parallel::sum_returned(ctx.stream, s.plan, back, true, out);
  return out;
}

Tensor moe_backward(const Context& ctx, const MoeWeights& w, const MicroBatch& batch, const std::shared_ptr<Tensor>& x,
                    MoeSaved s, View d_out, double balance_scale, WeightGradients* deferred) {
  const auto& c = ctx.config;
  comm::Communicator& ep = *ctx.groups.ep;
  const std::int64_t own = d_out.rows();
  // What is put off reads the plan's offsets, which live here until then.
  const auto plan = std::make_shared<DispatchPlan>(std::move(s.plan));
  Tensor back, back_weights, dx;
  for (std::size_t i = 0; i < plan->waves.size(); ++i) {
    const DispatchWave& wave = plan->waves[i];
    Transit coming = begin_to_experts(ctx.stream, ep, *plan, wave, d_out), x_coming;
    if (i > 0) x_coming = begin_to_experts(ctx.stream, ep, *plan, wave, *x);
    if (i == 0 && w.shared) dx = mlp_backward(ctx, *w.shared, false, x, std::move(s.shared), d_out, deferred);
    // Only the first wave's weight gradients may wait, and hold its rows: together they would be more than is planned.
    WeightGradients* const later = i == 0 ? deferred : nullptr;
    Tensor d_results = receive_at_experts(ctx.stream, wave, d_out, std::move(coming));  // [R, hidden]
    Tensor rows = i == 0 ? std::move(s.rows) : receive_at_experts(ctx.stream, wave, *x, std::move(x_coming));
    Tensor gate_up = i == 0 ? std::move(s.gate_up) : gate_up_of(ctx, w, wave, rows);
    Tensor act = ctx.make({wave.rows, c.moe_intermediate_size});  // first the gradient of the weighted activation
    grouped_gemm(ctx.stream, d_results, w.down->value, false, wave.offsets, act);
    Tensor d_row_weights = ctx.make({wave.rows, 1}, Dtype::f32);
    swiglu_weighted_backward(ctx.stream, act, gate_up, wave.weights.view().reshape({wave.rows}), gate_up,
                             d_row_weights.view().reshape({wave.rows}), act);
    Transit weights_going = begin_weight_gradients(ctx.stream, ep, *plan, wave, d_row_weights, back_weights);
    if (w.down->grad)
      weight_gradient(later, [stream = ctx.stream, d = std::move(d_results), in = std::move(act), plan, i, p = w.down] {
        grouped_gemm_backward_weight(stream, d, in, plan->waves[i].offsets, p->grad, p->grad_beta());
      });
    d_results.reset();
    act.reset();
    Tensor d_rows = ctx.make({wave.rows, c.hidden_size});
    grouped_gemm(ctx.stream, gate_up, w.gate_up->value, false, wave.offsets, d_rows);
    Transit going = begin_from_experts(ctx.stream, ep, *plan, wave, std::move(d_rows), back);
    if (w.gate_up->grad)
      weight_gradient(later,
                      [stream = ctx.stream, d = std::move(gate_up), in = std::move(rows), plan, i, p = w.gate_up] {
                        grouped_gemm_backward_weight(stream, d, in, plan->waves[i].offsets, p->grad, p->grad_beta());
                      });
    gate_up.reset();
    rows.reset();
    end_transit(ctx.stream, std::move(weights_going));
    end_transit(ctx.stream, std::move(going));
  }
  const Tensor d_weights = parallel::weight_gradients(ctx.stream, *plan, std::move(back_weights));

  const bool accumulate = static_cast<bool>(dx);
  if (!dx) dx = ctx.make({own, c.hidden_size});
  parallel::sum_returned(ctx.stream, *plan, back, accumulate, dx);
  back.reset();

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
