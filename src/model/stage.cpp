#include "model/stage.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/rms_norm/rms_norm.h"
#include "model/mtp.h"

namespace eddy::model {
using tensor::Tensor;
using tensor::View;

Recompute parse_recompute(const std::string& name) {
  if (name == "none") return Recompute::none;
  if (name == "selective") return Recompute::selective;
  if (name == "full") return Recompute::full;
  fail_input("train.recompute={}: allowed are none, selective, full", name);
}

LossSums& LossSums::operator+=(const LossSums& o) {
  main += o.main;
  mtp += o.mtp;
  main_count += o.main_count;
  mtp_count += o.mtp_count;
  return *this;
}

namespace {

void count(const parallel::DispatchPlan& plan, int ep_rank, RoutedRows& r) {
  const auto own = static_cast<std::size_t>(ep_rank);
  for (std::size_t i = 0; i < plan.waves.size(); ++i) {  // none in a dense layer
    const auto& wave = plan.waves[i];
    const std::int64_t away = wave.sent - static_cast<std::int64_t>(wave.send_rows[own]);
    r.held += i == 0 ? wave.rows : 0;
    r.rows += wave.rows;
    r.arrivals += wave.arrived;
    r.sent_away += away;
    r.received_away += wave.arrived - static_cast<std::int64_t>(wave.recv_rows[own]);
    r.sent_again += i == 0 ? 0 : away;
  }
  r.waves += static_cast<std::int64_t>(plan.waves.size());
  r.split += plan.waves.size() > 1 ? 1 : 0;
  r.most_waves = std::max(r.most_waves, static_cast<int>(plan.waves.size()));
}

struct StageSaved final : Saved {
  std::vector<BlockSaved> blocks;
  Tensor out, out_inv;  // [t, hidden] before the final norm, [t]; last stage
  Tensor d_normed;      // [t, hidden] gradient of the head's input, taken in the forward pass; last stage
  MtpSaved mtp;
  double balance_scale = 0;

  std::size_t bytes() const override {
    std::size_t n = out.bytes() + out_inv.bytes() + d_normed.bytes() + mtp.bytes();
    for (const auto& b : blocks) n += b.bytes();
    return n;
  }
};

}  // namespace

struct Stage::Impl {
  Context ctx;
  StagePlan::Range range;
  bool first, last;
  const Parameter *table = nullptr, *norm = nullptr, *head = nullptr;
  std::vector<LayerWeights> layers;
  std::vector<const Parameter*> last_of_layers;  // in the store's order
  const Parameter* last_of_all;
  std::optional<MtpWeights> mtp;
  std::vector<Tensor> counts;  // of each MoE layer, the MTP layer's last: int64 [E]
  Tensor losses;               // float64 [2]: main and MTP since take_losses()
  std::int64_t main_count = 0, mtp_count = 0;
  std::int64_t hooked = 0;  // micro-batches since on_routing was first called
  std::vector<RoutedRows> routed;

  Impl(const hf::ModelConfig& c, const parallel::Groups& groups, const StagePlan& plan,
       const parallel::ParameterStore& store, const StageOptions& o, const device::Stream& stream)
      : ctx(c, groups, o, stream),
        range(plan.stages.at(static_cast<std::size_t>(groups.at.pp))),
        first(groups.at.pp == 0),
        last(groups.at.pp == groups.layout.pp - 1) {
    for (int l = range.first; l < range.last; ++l) {
      layers.push_back(layer_weights(c, store, l));
      last_of_layers.push_back(nullptr);
      for (const Parameter& p : store.all())
        if (p.info.layer == l) last_of_layers.back() = &p;
    }
    last_of_all = &store.all().back();
    table = store.find("model.embed_tokens.weight");
    if (last) {
      norm = &store.at("model.norm.weight");
      head = &store.at("lm_head.weight");
      if (o.mtp) mtp = mtp_weights(c, store);
    }
    for (std::size_t i = 0; i < moe_layers().size(); ++i)
      counts.push_back(Tensor::zeros({ctx.config.n_routed_experts}, Dtype::i64, stream));
    losses = Tensor::zeros({2}, Dtype::f64, stream);
  }
  void clear_counts() {
    for (Tensor& t : counts) t.fill_zero();
    routed.clear();
  }
  std::vector<const MoeWeights*> moe_layers() const {
    std::vector<const MoeWeights*> out;
    for (const auto& l : layers)
      if (l.moe) out.push_back(&*l.moe);
    if (mtp && mtp->layer.moe) out.push_back(&*mtp->layer.moe);
    return out;
  }
  void loss(const MicroBatch& batch, View hidden, bool train, const LossScale& scale, StageSaved& saved,
            const std::function<void(bool, std::int64_t, View)>& show, const RoutingHook& hook);
};

/// Final norm, head and MTP. The gradients of their inputs are taken here and kept in `saved`.
void Stage::Impl::loss(const MicroBatch& batch, View hidden, bool train, const LossScale& scale, StageSaved& saved,
                       const std::function<void(bool, std::int64_t, View)>& show, const RoutingHook& hook) {
  const auto sink = [&](bool is_mtp) -> LogitsSink {
    if (!show) return {};
    return [&show, is_mtp](std::int64_t begin, View logits) { show(is_mtp, begin, logits); };
  };
  Tensor normed = ctx.make(hidden.shape);
  saved.out_inv = ctx.make({hidden.rows()}, Dtype::f32);
  kernels::rms_norm(ctx.stream, hidden, norm->value, ctx.eps, normed, saved.out_inv);
  const View sums = losses;
  saved.d_normed = head_loss(ctx, *head, normed, batch.labels, train, scale.main, sums.row_range(0, 1), sink(false));
  main_count += batch.label_count;
  if (!mtp) return;
  const View mtp_counts = train && mtp->layer.moe ? counts.back().view() : View();
  mtp_forward(ctx, *mtp, *table, *head, batch, normed, train, scale.mtp, sums.row_range(1, 2), sink(true), saved.mtp,
              mtp_counts, hook);
  mtp_count += batch.mtp_label_count;
}

Stage::Stage(const hf::ModelConfig& config, const parallel::Groups& groups, const StagePlan& plan,
             const parallel::ParameterStore& store, const StageOptions& options, const device::Stream& stream)
    : impl_(std::make_unique<Impl>(config, groups, plan, store, options, stream)) {}
Stage::~Stage() = default;
bool Stage::first() const {
  return impl_->first;
}
bool Stage::last() const {
  return impl_->last;
}
std::int64_t Stage::hidden_size() const {
  return impl_->ctx.config.hidden_size;
}

Stage::Output Stage::forward(const MicroBatch& batch, Tensor input, Pass pass, const LossScale& scale) {
  Impl& m = *impl_;
  const bool train = pass == Pass::train;
  auto saved = std::make_unique<StageSaved>();
  saved->balance_scale = scale.balance;
  if (m.first && on_values) on_values(*m.table);
  Tensor x = m.first ? embed(m.ctx, *m.table, batch.ids) : std::move(input);
  std::size_t moe = 0;
  // The hook of the next MoE layer.
  const auto hook = [&, number = on_routing ? m.hooked++ : 0](std::size_t layer) -> RoutingHook {
    if (!on_routing) return {};
    return [this, number, layer](View indices) { on_routing(number, static_cast<int>(layer), indices); };
  };
  for (std::size_t i = 0; i < m.layers.size(); ++i) {
    const LayerWeights& layer = m.layers[i];
    if (on_values) on_values(*m.last_of_layers[i]);
    BlockSaved block;
    const View counts = layer.moe && train ? m.counts[moe].view() : View();
    x = block_forward(m.ctx, layer, batch, batch.valid, std::move(x), block, counts, hook(moe));
    moe += layer.moe ? 1 : 0;
    if (!train) continue;
    drop_recomputable(m.ctx, layer, block);
    saved->blocks.push_back(std::move(block));
  }
  if (on_values) on_values(*m.last_of_all);
  Output out;
  if (m.last) {
    m.loss(batch, x, train, scale, *saved, on_logits, hook(moe));
    saved->out = std::move(x);
  } else {
    out.hidden = std::move(x);
  }
  if (!train) return out;
  RoutedRows& rows = m.routed.emplace_back();
  for (const BlockSaved& b : saved->blocks) count(b.moe.plan, m.ctx.groups.at.ep, rows);
  count(saved->mtp.block.moe.plan, m.ctx.groups.at.ep, rows);
  out.saved = std::move(saved);
  return out;
}

Tensor Stage::backward(const MicroBatch& batch, std::unique_ptr<Saved> opaque, Tensor d, WeightGradients* deferred) {
  Impl& m = *impl_;
  auto& s = dynamic_cast<StageSaved&>(*opaque);
  const GradientsDone done = deferred ? GradientsDone() : on_gradients;
  if (m.last) {
    d = std::move(s.d_normed);
    if (m.mtp)
      kernels::add(m.ctx.stream,
                   mtp_backward(m.ctx, *m.mtp, *m.table, batch, std::move(s.mtp), s.balance_scale, deferred, done), d);
    kernels::rms_norm_backward(m.ctx.stream, d, s.out, m.norm->value, s.out_inv, {}, d, m.norm->grad_sum(m.ctx.stream));
    if (done) done(*m.norm);
    s.out.reset();
  }
  for (std::size_t i = m.layers.size(); i-- > 0;) {
    d = block_backward(m.ctx, m.layers[i], batch, batch.valid, std::move(s.blocks[i]), std::move(d), s.balance_scale,
                       deferred, done);
    s.blocks.pop_back();
  }
  if (!m.first) return d;
  embed_backward(m.ctx, *m.table, batch.ids, d);
  if (done) done(*m.table);
  return {};
}

LossSums Stage::take_losses() {
  Impl& m = *impl_;
  const Tensor sums = tensor::to_host(m.ctx.stream, m.losses);
  m.losses.fill_zero();
  const double* s = sums.view().as<double>();
  return {s[0], s[1], std::exchange(m.main_count, 0), std::exchange(m.mtp_count, 0)};
}
const std::vector<RoutedRows>& Stage::routed() const {
  return impl_->routed;
}
void Stage::clear_router_counts() {
  impl_->clear_counts();
}

Stage::Load Stage::update_router_bias(double rate) {
  Impl& m = *impl_;
  Load load{0, m.counts.empty() ? 0 : 1e300};
  const auto layers = m.moe_layers();
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const Tensor held = tensor::to_host(m.ctx.stream, m.counts[l]);
    const std::int64_t experts = held.shape()[0];
    auto* counts = held.view().as<std::int64_t>();
    m.ctx.groups.stage->all_reduce(counts, static_cast<std::size_t>(experts), Dtype::i64, comm::Reduce::sum);
    const std::int64_t total = std::accumulate(counts, counts + experts, std::int64_t{0});
    if (total == 0) continue;
    const bool moves = layers[l]->bias && rate != 0;
    const Tensor bias = moves ? tensor::to_host(m.ctx.stream, layers[l]->bias->value) : Tensor();
    for (std::int64_t e = 0; e < experts; ++e) {
      const double relative =
          static_cast<double>(counts[e]) * static_cast<double>(experts) / static_cast<double>(total);
      load.max = std::max(load.max, relative);
      load.min = std::min(load.min, relative);
      // sign(mean - count) in integers: exact, so that every layout moves the same way
      const std::int64_t lack = total - counts[e] * experts;
      if (moves) bias.f32()[e] += static_cast<float>(lack > 0 ? rate : lack < 0 ? -rate : 0);
    }
    if (moves) device::copy_to_device(m.ctx.stream, bias.f32(), layers[l]->bias->value.data, bias.bytes());
  }
  if (load.min == 1e300) load.min = 0;
  for (const RoutedRows& r : m.routed) load.waves = std::max(load.waves, r.most_waves);
  m.clear_counts();
  return load;
}

}  // namespace eddy::model
