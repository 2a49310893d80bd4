#include "model/decode.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/embedding/embedding.h"
#include "kernels/gemm/gemm.h"
#include "kernels/grouped_gemm/grouped_gemm.h"
#include "kernels/permute/permute.h"
#include "kernels/rms_norm/rms_norm.h"
#include "kernels/swiglu/swiglu.h"
#include "model/context.h"
#include "model/weights.h"
#include "parallel/dispatch.h"

namespace eddy::model {
using namespace kernels;  // NOLINT
using tensor::Tensor;
using tensor::View;

namespace {

void sum_over(comm::Communicator& group, View x) {
  group.all_reduce(x.data, static_cast<std::size_t>(x.numel()), Dtype::f32, comm::Reduce::sum);
}

Tensor normalise(const Context& ctx, View x, const Parameter& weight, float eps) {
  Tensor y({x.rows(), x.cols()});
  rms_norm(ctx.stream, x, weight.value, eps, y, {});
  return y;
}

/// Row i of scores [n, L] sees the first `before + i + 1` columns.
void causal_softmax(View scores, std::int64_t before) {
  for (std::int64_t i = 0; i < scores.rows(); ++i) {
    float* row = scores.f32() + i * scores.row_stride;
    const std::int64_t seen = before + i + 1;
    const float top = *std::max_element(row, row + seen);
    double sum = 0;
    for (std::int64_t j = 0; j < seen; ++j) sum += row[j] = std::exp(row[j] - top);
    for (std::int64_t j = 0; j < seen; ++j) row[j] = static_cast<float>(row[j] / sum);
    std::fill(row + seen, row + scores.cols(), 0.f);
  }
}

}  // namespace

struct DecodeStage::Impl {
  struct Cache {
    Tensor latent, key;  // [max, kv_lora], [max, rope]
  };
  Context ctx;
  bool first, last;
  const Parameter *table, *norm = nullptr, *head = nullptr;
  std::vector<LayerWeights> layers;
  std::vector<Cache> caches;
  std::int64_t length = 0, max_tokens;

  Impl(const hf::ModelConfig& c, const parallel::Groups& groups, const StagePlan& plan,
       const parallel::ParameterStore& store, std::int64_t max)
      : ctx(c, groups, {}),
        first(groups.at.pp == 0),
        last(groups.at.pp == groups.layout.pp - 1),
        table(store.find("model.embed_tokens.weight")),
        max_tokens(max) {
    const auto range = plan.stages.at(static_cast<std::size_t>(groups.at.pp));
    for (int l = range.first; l < range.last; ++l) {
      layers.push_back(layer_weights(c, store, l));
      caches.push_back({Tensor({max, c.kv_lora_rank}), Tensor({max, c.qk_rope_head_dim})});
    }
    if (last) {
      norm = &store.at("model.norm.weight");
      head = &store.at("lm_head.weight");
    }
  }
  Tensor attention(const AttentionWeights& w, Cache& cache, View x);
  Tensor mlp(const MlpWeights& w, View x, bool split);
  Tensor moe(const MoeWeights& w, View x);
  Tensor logits(View x);
};

Tensor DecodeStage::Impl::attention(const AttentionWeights& w, Cache& cache, View x) {
  const auto& c = ctx.config;
  const std::int64_t n = x.rows(), all = length + n;
  const int h = ctx.heads(), qk = c.qk_head_dim(), nope = c.qk_nope_head_dim, rope_dim = c.qk_rope_head_dim,
            dv = c.v_head_dim, rank = c.kv_lora_rank;
  Tensor positions({n}, Dtype::i32);
  std::iota(positions.i32(), positions.i32() + n, static_cast<std::int32_t>(length));

  Tensor kv_a({n, rank + rope_dim}), q({n, h * qk});
  linear(ctx.stream, x, w.kv_a->value, kv_a);
  rms_norm(ctx.stream, kv_a.view().col_range(0, rank), w.kv_a_norm->value, ctx.latent_eps,
           cache.latent.view().row_range(length, all), {});
  const View key = cache.key.view().row_range(length, all);
  copy(ctx.stream, kv_a.view().col_range(rank, rank + rope_dim), key);
  rope(ctx.stream, key, 1, rope_dim, 0, positions, ctx.rope, false);
  if (w.q_a) {
    Tensor q_a({n, c.q_lora_rank});
    linear(ctx.stream, x, w.q_a->value, q_a);
    linear(ctx.stream, normalise(ctx, q_a, *w.q_a_norm, ctx.latent_eps), w.q_b->value, q);
  } else {
    linear(ctx.stream, x, w.q_b->value, q);
  }
  rope(ctx.stream, q, h, qk, nope, positions, ctx.rope, false);

  const View latents = cache.latent.view().row_range(0, all), keys = cache.key.view().row_range(0, all);
  Tensor o({n, h * dv}), absorbed({n, rank}), scores({n, all});
  for (int i = 0; i < h; ++i) {
    const View up =
        w.kv_b->value.row_range(i * (nope + dv), (i + 1) * (nope + dv));  // [nope + v, kv_lora] of this head
    gemm(ctx.stream, q.view().col_range(i * qk, i * qk + nope), false, up.row_range(0, nope), false, absorbed);
    gemm(ctx.stream, absorbed, false, latents, true, scores, ctx.attention_scale);
    gemm(ctx.stream, q.view().col_range(i * qk + nope, (i + 1) * qk), false, keys, true, scores, ctx.attention_scale,
         1);
    causal_softmax(scores, length);
    gemm(ctx.stream, scores, false, latents, false, absorbed);
    gemm(ctx.stream, absorbed, false, up.row_range(nope, nope + dv), true, o.view().col_range(i * dv, (i + 1) * dv));
  }
  Tensor out({n, c.hidden_size});
  linear(ctx.stream, o, w.o->value, out);
  sum_over(*ctx.groups.tp, out);
  return out;
}

Tensor DecodeStage::Impl::mlp(const MlpWeights& w, View x, bool split) {
  const std::int64_t width = w.gate->value.rows();
  Tensor gate_up({x.rows(), 2 * width}), act({x.rows(), width}), out({x.rows(), ctx.config.hidden_size});
  linear(ctx.stream, x, w.gate->value, gate_up.view().col_range(0, width));
  linear(ctx.stream, x, w.up->value, gate_up.view().col_range(width, 2 * width));
  swiglu(ctx.stream, gate_up, act);
  linear(ctx.stream, act, w.down->value, out);
  if (split) sum_over(*ctx.groups.tp, out);
  return out;
}

/// Every rank of the stage has all tokens: each runs its own experts on the pairs that chose them, and the sums are
/// added.
Tensor DecodeStage::Impl::moe(const MoeWeights& w, View x) {
  const auto& c = ctx.config;
  const std::int64_t n = x.rows(), k = c.top_k;
  Tensor logits({n, c.n_routed_experts}), scores({n, c.n_routed_experts}), indices({n, k}, Dtype::i32), weights({n, k});
  linear(ctx.stream, x, w.gate->value, logits);
  router(ctx.stream, logits, w.bias ? w.bias->value : View(), {}, ctx.router, scores, indices, weights);

  const std::int64_t begin = w.gate_up->info.begin[0], local = w.gate_up->info.extent[0];
  std::vector<std::vector<std::int32_t>> chosen(static_cast<std::size_t>(local));  // pairs t·k + j of each local expert
  for (std::int64_t i = 0; i < n * k; ++i)
    if (const std::int64_t e = indices.i32()[i] - begin; e >= 0 && e < local)
      chosen[static_cast<std::size_t>(e)].push_back(static_cast<std::int32_t>(i));
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> pairs;
  for (const auto& list : chosen) {
    pairs.insert(pairs.end(), list.begin(), list.end());
    offsets.push_back(static_cast<std::int64_t>(pairs.size()));
  }
  const auto rows = static_cast<std::int64_t>(pairs.size());
  Tensor tokens({rows}, Dtype::i32), slots({n, k}, Dtype::i32);
  std::fill_n(slots.i32(), n * k, -1);
  for (std::int64_t r = 0; r < rows; ++r) {
    tokens.i32()[r] = static_cast<std::int32_t>(pairs[static_cast<std::size_t>(r)] / k);
    slots.i32()[pairs[static_cast<std::size_t>(r)]] = static_cast<std::int32_t>(r);
  }
  Tensor in({rows, c.hidden_size}), gate_up({rows, 2 * c.moe_intermediate_size}), act({rows, c.moe_intermediate_size}),
      results({rows, c.hidden_size});
  const View bounds(offsets.data(), Dtype::i64, {local + 1});
  gather_rows(ctx.stream, x, tokens, in);
  grouped_gemm(ctx.stream, in, w.gate_up->value, true, bounds, gate_up);
  swiglu(ctx.stream, gate_up, act);
  grouped_gemm(ctx.stream, act, w.down->value, true, bounds, results);
  Tensor out({n, c.hidden_size});
  combine_rows(ctx.stream, results, slots, weights, false, out);
  sum_over(*ctx.groups.ep, out);
  if (w.shared) add(ctx.stream, mlp(*w.shared, x, false), out);
  return out;
}

/// [1, V] of one token, gathered over TP, whose parts may differ by a row.
Tensor DecodeStage::Impl::logits(View x) {
  Tensor part({1, head->value.rows()}), all({1, ctx.config.vocab_size});
  linear(ctx.stream, normalise(ctx, x, *norm, ctx.eps), head->value, part);
  std::vector<std::size_t> counts;
  for (int r = 0; r < ctx.tp(); ++r) {
    const std::int64_t vocab = ctx.config.vocab_size;
    counts.push_back(static_cast<std::size_t>(vocab * (r + 1) / ctx.tp() - vocab * r / ctx.tp()));
  }
  ctx.groups.tp->all_gather_v(part.view().data, all.view().data, counts, Dtype::f32);
  return all;
}

DecodeStage::DecodeStage(const hf::ModelConfig& config, const parallel::Groups& groups, const StagePlan& plan,
                         const parallel::ParameterStore& store, std::int64_t max_tokens)
    : impl_(std::make_unique<Impl>(config, groups, plan, store, max_tokens)) {}
DecodeStage::~DecodeStage() = default;
std::int64_t DecodeStage::length() const {
  return impl_->length;
}
void DecodeStage::clear() {
  impl_->length = 0;
}

Tensor DecodeStage::forward(View ids, Tensor input) {
  Impl& m = *impl_;
  const std::int64_t n = ids.rows();
  if (m.length + n > m.max_tokens)
    fail_run("the cache has room for {} tokens, {} are needed", m.max_tokens, m.length + n);
  Tensor x = std::move(input);
  if (m.first) {
    x = Tensor({n, m.ctx.config.hidden_size});
    embedding(m.ctx.stream, m.table->value, ids, m.table->info.begin[0], x);
    sum_over(*m.ctx.groups.tp, x);
  }
  for (std::size_t l = 0; l < m.layers.size(); ++l) {
    const LayerWeights& w = m.layers[l];
    add(m.ctx.stream, m.attention(w.attention, m.caches[l], normalise(m.ctx, x, *w.input_norm, m.ctx.eps)), x);
    const Tensor normed = normalise(m.ctx, x, *w.post_norm, m.ctx.eps);
    add(m.ctx.stream, w.moe ? m.moe(*w.moe, normed) : m.mlp(*w.mlp, normed, true), x);
  }
  m.length += n;
  return m.last ? m.logits(x.view().row_range(n - 1, n)) : std::move(x);
}

}  // namespace eddy::model
