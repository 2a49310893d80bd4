#include "model/attention.h"

#include "kernels/attention/attention.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/gemm/gemm.h"
#include "kernels/rms_norm/rms_norm.h"

namespace eddy::model {
using namespace kernels;  // NOLINT: every call below is a kernel
using tensor::Tensor;
using tensor::View;

namespace {

/// Columns of the gathered latent: what feeds q, what feeds kv, the shared key that is rotated.
struct LatentParts {
  std::int64_t q, kv, rope;
  explicit LatentParts(const hf::ModelConfig& c)
      : q(c.q_lora_rank > 0 ? c.q_lora_rank : c.hidden_size), kv(c.kv_lora_rank), rope(c.qk_rope_head_dim) {}
  std::int64_t width() const { return q + kv + rope; }
  View for_q(View latent) const { return latent.col_range(0, q); }
  View for_kv(View latent) const { return latent.col_range(q, q + kv); }
  View for_rope(View latent) const { return latent.col_range(q + kv, width()); }
};

/// q, k, v from the gathered latent: the part that selective recomputation does again.
void up_project(const Context& ctx, const AttentionWeights& w, const MicroBatch& batch, AttentionSaved& s) {
  const auto& c = ctx.config;
  const LatentParts parts(c);
  const std::int64_t tokens = s.latent.shape()[0];
  const int h = ctx.heads(), qk = c.qk_head_dim(), nope = c.qk_nope_head_dim, dv = c.v_head_dim;
  s.q = ctx.make({tokens, h * qk});
  linear(ctx.stream, parts.for_q(s.latent), w.q_b->value, s.q);
  rope(ctx.stream, s.q, h, qk, nope, batch.positions, ctx.rope, false);
  Tensor kv = ctx.make({tokens, h * (nope + dv)});
  linear(ctx.stream, parts.for_kv(s.latent), w.kv_b->value, kv);
  s.k = ctx.make({tokens, h * qk});
  s.v = ctx.make({tokens, h * dv});
  mla_split_kv(ctx.stream, kv, parts.for_rope(s.latent), batch.positions, ctx.rope, h, nope, dv, s.k, s.v);
}

Documents documents_of(const MicroBatch& batch) {
  return {batch.cu_seqlens, batch.cu_seqlens_on_device};
}

}  // namespace

std::size_t AttentionSaved::bytes() const {
  std::size_t n = 0;
  for (const Tensor* t : {&q_a, &q_a_inv, &kv_a, &kv_a_inv, &latent, &q, &k, &v, &o, &lse}) n += t->bytes();
  return n;
}
void AttentionSaved::drop_up_projections() {
  for (Tensor* t : {&q, &k, &v}) t->reset();
}

Tensor attention_forward(const Context& ctx, const AttentionWeights& w, const MicroBatch& batch, View x, View residual,
                         AttentionSaved& s) {
  const auto& c = ctx.config;
  const LatentParts parts(c);
  const std::int64_t own = x.rows();
  Tensor latent = ctx.make({own, parts.width()});  // this rank's tokens
  if (w.q_a) {
    s.q_a = ctx.make({own, c.q_lora_rank});
    s.q_a_inv = ctx.make({own}, Dtype::f32);
    linear(ctx.stream, x, w.q_a->value, s.q_a);
    rms_norm(ctx.stream, s.q_a, w.q_a_norm->value, ctx.latent_eps, parts.for_q(latent), s.q_a_inv);
  } else {
    copy(ctx.stream, x, parts.for_q(latent));
  }
  s.kv_a = ctx.make({own, parts.kv + parts.rope});
  s.kv_a_inv = ctx.make({own}, Dtype::f32);
  linear(ctx.stream, x, w.kv_a->value, s.kv_a);
  rms_norm(ctx.stream, s.kv_a.view().col_range(0, parts.kv), w.kv_a_norm->value, ctx.latent_eps, parts.for_kv(latent),
           s.kv_a_inv);
  copy(ctx.stream, s.kv_a.view().col_range(parts.kv, parts.kv + parts.rope), parts.for_rope(latent));
  s.latent = ctx.tp() > 1 ? gather_tokens(ctx, latent) : std::move(latent);
  up_project(ctx, w, batch, s);

  const std::int64_t tokens = s.latent.shape()[0];
  const int h = ctx.heads();
  s.o = ctx.make({tokens, h * c.v_head_dim});
  s.lse = ctx.make({h, tokens}, Dtype::f32);
  attention(ctx.stream, s.q, s.k, s.v, h, documents_of(batch), ctx.attention_scale, s.o, s.lse);
  return project_out(ctx, s.o, w.o->value, residual);
}

Tensor attention_backward(const Context& ctx, const AttentionWeights& w, const MicroBatch& batch, Tensor x,
                          AttentionSaved s, View d_out, WeightGradients* deferred) {
  const auto& c = ctx.config;
  const LatentParts parts(c);
  const int h = ctx.heads(), qk = c.qk_head_dim(), nope = c.qk_nope_head_dim, dv = c.v_head_dim;
  const std::int64_t tokens = s.latent.shape()[0], own = x.shape()[0];
  if (!s.q) up_project(ctx, w, batch, s);

  // d_out belongs to the caller: what is put off needs a copy.
  Tensor gathered = ctx.tp() > 1 || deferred ? gather_tokens(ctx, d_out) : Tensor();
  const View dy = gathered ? gathered.view() : d_out;  // [T, hidden]
  Tensor d_o = ctx.make({tokens, h * dv});
  linear_backward_input(ctx.stream, dy, w.o->value, d_o);
  Tensor dq = ctx.make({tokens, h * qk}), dk = ctx.make({tokens, h * qk}), dvalue = ctx.make({tokens, h * dv});
  kernels::attention_backward(ctx.stream, s.q, s.k, s.v, s.o, s.lse, d_o, h, documents_of(batch), ctx.attention_scale,
                              dq, dk, dvalue, ctx.options.deterministic);
  d_o.reset();
  for (Tensor* t : {&s.q, &s.k, &s.v, &s.lse}) t->reset();
  if (w.o->grad)
    weight_gradient(deferred, [stream = ctx.stream, dy, gathered = std::move(gathered), o = std::move(s.o), p = w.o] {
      linear_backward_weight(stream, dy, o, p->grad, p->grad_beta());
    });

  // Back through the up-projections into the latent. Each TP rank has the part of its own heads: summed when scattered.
  Tensor d_latent = ctx.make({tokens, parts.width()}), dkv = ctx.make({tokens, h * (nope + dv)});
  rope(ctx.stream, dq, h, qk, nope, batch.positions, ctx.rope, true);
  linear_backward_input(ctx.stream, dq, w.q_b->value, parts.for_q(d_latent));
  mla_split_kv_backward(ctx.stream, dk, dvalue, batch.positions, ctx.rope, h, nope, dv, dkv, parts.for_rope(d_latent));
  dk.reset();
  dvalue.reset();
  linear_backward_input(ctx.stream, dkv, w.kv_b->value, parts.for_kv(d_latent));
  if (w.q_b->grad || w.kv_b->grad)
    weight_gradient(deferred, [stream = ctx.stream, parts, dq = std::move(dq), dkv = std::move(dkv),
                               latent = std::move(s.latent), q_b = w.q_b, kv_b = w.kv_b] {
      if (q_b->grad) linear_backward_weight(stream, dq, parts.for_q(latent), q_b->grad, q_b->grad_beta());
      if (kv_b->grad) linear_backward_weight(stream, dkv, parts.for_kv(latent), kv_b->grad, kv_b->grad_beta());
    });

  Tensor dl = scatter_tokens(ctx, std::move(d_latent));  // [t, width]
  Tensor d_kv_a = ctx.make({own, parts.kv + parts.rope});
  rms_norm_backward(ctx.stream, parts.for_kv(dl), s.kv_a.view().col_range(0, parts.kv), w.kv_a_norm->value, s.kv_a_inv,
                    {}, d_kv_a.view().col_range(0, parts.kv), w.kv_a_norm->grad_sum(ctx.stream));
  copy(ctx.stream, parts.for_rope(dl), d_kv_a.view().col_range(parts.kv, parts.kv + parts.rope));
  Tensor dx = ctx.make({own, c.hidden_size});
  linear_backward_input(ctx.stream, d_kv_a, w.kv_a->value, dx);
  Tensor d_q_a;
  if (w.q_a) {
    d_q_a = ctx.make({own, c.q_lora_rank});
    rms_norm_backward(ctx.stream, parts.for_q(dl), s.q_a, w.q_a_norm->value, s.q_a_inv, {}, d_q_a,
                      w.q_a_norm->grad_sum(ctx.stream));
    linear_backward_input(ctx.stream, d_q_a, w.q_a->value, dx, 1);
  } else {
    add(ctx.stream, parts.for_q(dl), dx);
  }
  if (w.kv_a->grad || (w.q_a && w.q_a->grad))
    weight_gradient(deferred, [stream = ctx.stream, x = std::move(x), d_kv_a = std::move(d_kv_a),
                               d_q_a = std::move(d_q_a), kv_a = w.kv_a, q_a = w.q_a] {
      if (kv_a->grad) linear_backward_weight(stream, d_kv_a, x, kv_a->grad, kv_a->grad_beta());
      if (q_a && q_a->grad) linear_backward_weight(stream, d_q_a, x, q_a->grad, q_a->grad_beta());
    });
  return dx;
}

}  // namespace eddy::model
