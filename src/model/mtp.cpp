#include "model/mtp.h"

#include "kernels/elementwise/elementwise.h"
#include "kernels/gemm/gemm.h"
#include "kernels/rms_norm/rms_norm.h"

namespace eddy::model {
using tensor::Tensor;
using tensor::View;

namespace {
/// [enorm(embedded), hnorm(hidden)] [t, 2·hidden].
Tensor joined(const Context& ctx, const MtpWeights& w, MtpSaved& s) {
  const std::int64_t own = s.hidden.shape()[0], h = ctx.config.hidden_size;
  Tensor both = ctx.make({own, 2 * h});
  if (!s.embedded_inv) s.embedded_inv = ctx.make({own}, Dtype::f32);
  if (!s.hidden_inv) s.hidden_inv = ctx.make({own}, Dtype::f32);
  kernels::rms_norm(ctx.stream, s.embedded, w.enorm->value, ctx.eps, both.view().col_range(0, h), s.embedded_inv);
  kernels::rms_norm(ctx.stream, s.hidden, w.hnorm->value, ctx.eps, both.view().col_range(h, 2 * h), s.hidden_inv);
  return both;
}
}  // namespace

std::size_t MtpSaved::bytes() const {
  std::size_t n = block.bytes();
  for (const Tensor* t : {&hidden, &embedded, &hidden_inv, &embedded_inv, &out, &out_inv, &d_normed}) n += t->bytes();
  return n;
}

void mtp_forward(const Context& ctx, const MtpWeights& w, const Parameter& table, const Parameter& head,
                 const MicroBatch& batch, View hidden, bool train, double scale, View loss, const LogitsSink& sink,
                 MtpSaved& s, View counts, const RoutingHook& hook) {
  const std::int64_t own = hidden.rows(), h = ctx.config.hidden_size;
  s.hidden = ctx.make({own, h});
  kernels::copy(ctx.stream, hidden, s.hidden);
  s.embedded = embed(ctx, table, batch.mtp_ids);
  Tensor z = ctx.make({own, h});
  kernels::linear(ctx.stream, joined(ctx, w, s), w.eh_proj->value, z);
  s.out = block_forward(ctx, w.layer, batch, batch.mtp_valid, std::move(z), s.block, counts, hook);
  if (train)
    drop_recomputable(ctx, w.layer, s.block);
  else
    s.block = {};
  Tensor normed = ctx.make({own, h});
  s.out_inv = ctx.make({own}, Dtype::f32);
  kernels::rms_norm(ctx.stream, s.out, w.norm->value, ctx.eps, normed, s.out_inv);
  s.d_normed = head_loss(ctx, head, normed, batch.mtp_labels, train, scale, loss, sink);
}

Tensor mtp_backward(const Context& ctx, const MtpWeights& w, const Parameter& table, const MicroBatch& batch,
                    MtpSaved s, double balance_scale, WeightGradients* deferred, const GradientsDone& done) {
  const std::int64_t own = s.hidden.shape()[0], h = ctx.config.hidden_size;
  kernels::rms_norm_backward(ctx.stream, s.d_normed, s.out, w.norm->value, s.out_inv, {}, s.d_normed,
                             w.norm->grad_sum(ctx.stream));
  Tensor dz = block_backward(ctx, w.layer, batch, batch.mtp_valid, std::move(s.block), std::move(s.d_normed),
                             balance_scale, deferred, done);
  Tensor d_both = ctx.make({own, 2 * h});
  kernels::linear_backward_input(ctx.stream, dz, w.eh_proj->value, d_both);
  if (w.eh_proj->grad)
    weight_gradient(deferred, [stream = ctx.stream, dz = std::move(dz), both = joined(ctx, w, s), p = w.eh_proj] {
      kernels::linear_backward_weight(stream, dz, both, p->grad, p->grad_beta());
    });
  Tensor d_embedded = ctx.make({own, h}), d_hidden = ctx.make({own, h});
  kernels::rms_norm_backward(ctx.stream, d_both.view().col_range(0, h), s.embedded, w.enorm->value, s.embedded_inv, {},
                             d_embedded, w.enorm->grad_sum(ctx.stream));
  kernels::rms_norm_backward(ctx.stream, d_both.view().col_range(h, 2 * h), s.hidden, w.hnorm->value, s.hidden_inv, {},
                             d_hidden, w.hnorm->grad_sum(ctx.stream));
  embed_backward(ctx, table, batch.mtp_ids, d_embedded);
  return d_hidden;
}

}  // namespace eddy::model
