#include "model/block.h"

#include "kernels/rms_norm/rms_norm.h"

namespace eddy::model {
using tensor::Tensor;
using tensor::View;

namespace {
Tensor normalise(const Context& ctx, View x, const Parameter& weight, Tensor& inv) {
  Tensor y = ctx.make(x.shape);
  if (!inv) inv = ctx.make({x.rows()}, Dtype::f32);
  kernels::rms_norm(ctx.stream, x, weight.value, ctx.eps, y, inv);
  return y;
}
}  // namespace

std::size_t BlockSaved::bytes() const {
  std::size_t n = attention.bytes() + mlp.bytes() + moe.bytes();
  for (const Tensor* t : {&x, &x_inv, &normed, &x1, &x1_inv, &normed1}) n += t->bytes();
  return n;
}

Tensor block_forward(const Context& ctx, const LayerWeights& w, const MicroBatch& batch, View valid, Tensor x,
                     BlockSaved& s, View counts, const RoutingHook& hook) {
  s.x = std::move(x);
  s.normed = normalise(ctx, s.x, *w.input_norm, s.x_inv);
  s.x1 = attention_forward(ctx, w.attention, batch, s.normed, s.x, s.attention);
  s.normed1 = normalise(ctx, s.x1, *w.post_norm, s.x1_inv);
  return w.moe ? moe_forward(ctx, *w.moe, batch, valid, s.normed1, s.x1, s.moe, counts, hook)
               : mlp_forward(ctx, *w.mlp, true, s.normed1, s.x1, s.mlp);
}

void drop_recomputable(const Context& ctx, const LayerWeights& w, BlockSaved& s) {
  if (ctx.options.recompute == Recompute::none) return;
  s.normed.reset();
  s.normed1.reset();
  if (ctx.options.recompute == Recompute::selective) {
    s.attention.drop_up_projections();
    if (w.moe)
      s.moe.drop_activations();
    else
      s.mlp.drop_activations();
    return;
  }
  for (Tensor* t : {&s.x_inv, &s.x1, &s.x1_inv}) t->reset();
  s.attention = {};
  s.mlp = {};
  s.moe.drop_all_but_routing();
}

Tensor block_backward(const Context& ctx, const LayerWeights& w, const MicroBatch& batch, View valid, BlockSaved s,
                      Tensor d_out, double balance_scale, WeightGradients* deferred, const GradientsDone& done) {
  if (!s.x1)
    block_forward(ctx, w, batch, valid, std::move(s.x), s, {}, {});  // full recomputation, the kept routing replayed
  if (!s.normed1) s.normed1 = normalise(ctx, s.x1, *w.post_norm, s.x1_inv);
  const auto normed1 = std::make_shared<Tensor>(std::move(s.normed1));
  Tensor d_normed1 = w.moe ? moe_backward(ctx, *w.moe, batch, normed1, std::move(s.moe), d_out, balance_scale, deferred)
                           : mlp_backward(ctx, *w.mlp, true, normed1, std::move(s.mlp), d_out, deferred);
  kernels::rms_norm_backward(ctx.stream, d_normed1, s.x1, w.post_norm->value, s.x1_inv, d_out, d_out,
                             w.post_norm->grad_sum(ctx.stream));  // d_out: now of x1
  if (done) done(*w.post_norm);
  s.x1.reset();
  if (!s.normed) s.normed = normalise(ctx, s.x, *w.input_norm, s.x_inv);
  const Tensor d_normed =
      attention_backward(ctx, w.attention, batch, std::move(s.normed), std::move(s.attention), d_out, deferred);
  kernels::rms_norm_backward(ctx.stream, d_normed, s.x, w.input_norm->value, s.x_inv, d_out, d_out,
                             w.input_norm->grad_sum(ctx.stream));
  if (done) done(*w.input_norm);
  return d_out;
}

}  // namespace eddy::model
