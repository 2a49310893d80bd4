#include "model/predict.h"

#include <algorithm>

#include "parallel/dispatch.h"
#include "parallel/traffic.h"

namespace eddy::model {
namespace {

constexpr std::int64_t kFloat = 4;  // bytes of float32 and int32 alike

/// Elements by what they take: activations are of the options' type, the rest float32 or int32, or int64.
struct Elements {
  std::int64_t activations = 0, words = 0, longs = 0;
  Elements& operator+=(const Elements& o) {
    activations += o.activations;
    words += o.words;
    longs += o.longs;
    return *this;
  }
  std::size_t bytes(Dtype dtype) const {
    return static_cast<std::size_t>(activations) * size_of(dtype) +
           static_cast<std::size_t>(words * kFloat + 8 * longs);
  }
};

/// Sizes of one rank, in elements.
struct Sizes {
  std::int64_t all, own, hidden, latent, heads_qk, heads_v, heads;
  explicit Sizes(const StepShape& s)
      : all(s.tokens),
        own(s.tokens / s.layout.tp),
        hidden(s.config.hidden_size),
        latent((s.config.q_lora_rank > 0 ? s.config.q_lora_rank : s.config.hidden_size) + s.config.kv_lora_rank +
               s.config.qk_rope_head_dim),
        heads_qk(s.config.num_heads / s.layout.tp * s.config.qk_head_dim()),
        heads_v(s.config.num_heads / s.layout.tp * s.config.v_head_dim),
        heads(s.config.num_heads / s.layout.tp) {}
};

Elements attention_elements(const StepShape& s, const Sizes& z) {
  const auto& c = s.config;
  Elements n{z.own * (c.kv_lora_rank + c.qk_rope_head_dim) + z.all * (z.latent + z.heads_v),
             z.own + z.all * z.heads};  // the norm's factors, lse
  if (c.q_lora_rank > 0) n += {z.own * c.q_lora_rank, z.own};
  if (s.options.recompute == Recompute::none) n += {z.all * (2 * z.heads_qk + z.heads_v)};
  return n;
}

Elements dense_elements(const StepShape& s, const Sizes& z) {
  const std::int64_t width = s.config.intermediate_size / s.layout.tp;
  const bool none = s.options.recompute == Recompute::none;
  return {z.all * (none ? 3 : 2) * width + (none && s.layout.tp > 1 ? z.all * z.hidden : 0)};
}

/// What a MoE layer keeps of its own tokens; the routed rows are counted by routed_elements.
Elements moe_elements(const StepShape& s, const Sizes& z) {
  const auto& c = s.config;
  Elements n{0, z.own * c.top_k};                                              // the choices
  if (s.layout.ep > 1) n.words += 2 * z.own * std::min(c.top_k, s.layout.ep);  // places of the visits, their tokens
  if (s.options.balance_loss > 0) n += {0, s.rows * c.n_routed_experts};
  if (s.options.recompute == Recompute::full) return n;
  const std::int64_t shared = static_cast<std::int64_t>(c.n_shared_experts) * c.moe_intermediate_size;
  n += {z.own * (s.options.recompute == Recompute::none ? 3 : 2) * shared, z.own * (c.n_routed_experts + c.top_k)};
  return n;
}
Elements routed_elements(const StepShape& s, const Sizes& z, const RoutedRows& r) {
  const auto& c = s.config;
  // Rows of the arrivals' choices, the arrival and the weight of each row; where each expert's rows begin.
  Elements n{0, 2 * r.arrivals * c.top_k + r.rows, r.waves * (c.n_routed_experts / s.layout.ep + 1)};
  if (s.options.recompute != Recompute::full) n += {r.held * (z.hidden + 2 * c.moe_intermediate_size)};
  return n;
}

Elements block_elements(const StepShape& s, const Sizes& z, bool moe) {
  if (s.options.recompute == Recompute::full) {
    Elements n{z.own * z.hidden};
    if (moe) n += moe_elements(s, z);
    return n;
  }
  const std::int64_t normed = s.options.recompute == Recompute::none ? 2 : 0;
  Elements n{z.own * (2 + normed) * z.hidden, 2 * z.own};
  n += attention_elements(s, z);
  n += moe ? moe_elements(s, z) : dense_elements(s, z);
  return n;
}

struct Held {
  StagePlan::Range range;
  bool first, last;
  explicit Held(const StepShape& s) {
    const int stage = parallel::coordinates(s.layout, s.rank).pp;
    range = s.plan.stages.at(static_cast<std::size_t>(stage));
    first = stage == 0;
    last = stage == s.layout.pp - 1;
  }
};

/// Calls f(is MoE) for each decoder layer of the stage, the MTP layer's included.
template <class F>
void for_layers(const StepShape& s, const Held& held, F f) {
  for (int l = held.range.first; l < held.range.last; ++l) f(s.config.is_moe(l));
  if (held.last && s.options.mtp) f(s.config.is_moe(s.config.num_layers));
}

}  // namespace

RoutedRows planned_routing(const StepShape& s) {
  const auto& c = s.config;
  const int ranks = s.layout.ep;
  const std::int64_t own = s.tokens / s.layout.tp, most = std::min(c.top_k, c.n_routed_experts / ranks);
  const Held held(s);
  RoutedRows r;
  for_layers(s, held, [&](bool moe) {
    if (!moe) return;
    const std::int64_t wave =
        parallel::planned_rows(own, c.top_k, c.n_routed_experts, ranks, s.options.expert_capacity);
    // Every token of the group visits this rank, with as many choices as there are experts for. Cutting into waves may
    // round up each kind of visit, least_rows together.
    const std::int64_t visits = own * ranks, all = visits * most,
                       spare = wave - parallel::least_rows(c.top_k, c.n_routed_experts, ranks);
    const std::int64_t waves = wave >= all ? 1 : spare > 0 ? (all + spare - 1) / spare : own;
    r.held += wave;
    r.rows += all;
    r.arrivals += visits;
    r.sent_away += own * std::min(c.top_k, ranks - 1);
    r.received_away += visits - own;
    r.sent_again = waves > 1 ? r.sent_away : r.sent_again;
    r.waves += waves;
    r.split += waves > 1 ? 1 : 0;
    r.most_waves = std::max(r.most_waves, static_cast<int>(waves));
  });
  return r;
}

std::size_t saved_bytes(const StepShape& s, const RoutedRows& routed) {
  const Sizes z(s);
  const Held held(s);
  Elements n = routed_elements(s, z, routed);
  for_layers(s, held, [&](bool moe) { n += block_elements(s, z, moe); });
  if (held.last) n += {z.own * 2 * z.hidden, z.own};                       // before the final norm, the head's gradient
  if (held.last && s.options.mtp) n += {z.own * 4 * z.hidden, 3 * z.own};  // both inputs, the output, the gradient
  return n.bytes(s.options.dtype);
}

Traffic micro_batch_traffic(const StepShape& s, const RoutedRows& routed) {
  using namespace parallel;  // NOLINT: the formulas
  const Sizes z(s);
  const Held held(s);
  const int tp = s.layout.tp;
  const auto words = [](std::int64_t elements) { return static_cast<std::uint64_t>(elements * kFloat); };
  const auto bytes = [&](std::int64_t elements) {
    return static_cast<std::uint64_t>(elements) * size_of(s.options.dtype);
  };
  // An all-gather of this rank's tokens and a reduce-scatter back cost the same.
  const std::uint64_t hidden = all_gather_bytes(tp, bytes(z.own * z.hidden)),
                      latent = all_gather_bytes(tp, bytes(z.own * z.latent));
  const bool full = s.options.recompute == Recompute::full;
  Traffic t;
  for_layers(s, held, [&](bool moe) {
    const int forwards = full ? 2 : 1;
    t.tp += static_cast<std::uint64_t>(forwards + 1) *
            (latent + hidden);  // latents gathered, output scattered; backward the reverse
    if (moe) {
      // Pairs of each expert, visits to each rank.
      t.ep += all_gather_bytes(s.layout.ep, static_cast<std::uint64_t>(s.config.n_routed_experts + s.layout.ep) * 8);
      if (s.options.balance_loss > 0)
        t.tp += all_reduce_bytes(tp, static_cast<std::uint64_t>(s.rows * (s.config.n_routed_experts + 1)) * 8);
    } else {
      t.tp += static_cast<std::uint64_t>(2 * forwards + 2) * hidden;
      if (s.options.recompute == Recompute::selective) t.tp += hidden;  // the input is gathered again
    }
  });
  const std::int64_t forwards = full ? 2 : 1;
  // A row a visit: choices and weights once, the tokens (in the backward pass those of further waves again) and the
  // gradients of the results; on the way back the results, the gradients of the tokens and of the weights.
  const std::int64_t k = s.config.top_k;
  const std::int64_t kinds = s.layout.ep * std::min(s.config.top_k, s.config.n_routed_experts / s.layout.ep);
  t.ep += static_cast<std::uint64_t>(routed.split) *  // visits of each rank by how many rows they have
          all_gather_bytes(s.layout.ep, static_cast<std::uint64_t>(kinds) * 8);
  t.ep += bytes((routed.sent_away * (forwards + 1) + routed.sent_again) * z.hidden) + words(routed.sent_away * 2 * k);
  t.ep += bytes(routed.received_away * (forwards + 1) * z.hidden) + words(routed.received_away * k);

  const auto head = [&] {
    t.tp += 2 * hidden;
    for (std::int64_t at = 0; at < s.tokens; at += s.options.head_chunk) {
      const std::int64_t n = std::min(s.options.head_chunk, s.tokens - at);
      t.tp += all_gather_bytes(tp, words(3 * n));  // the statistics of a part of the vocabulary
    }
  };
  if (held.first) t.tp += 2 * hidden;  // embedding: scattered; its gradient gathered
  if (held.last) head();
  if (held.last && s.options.mtp) {
    head();
    t.tp += 2 * hidden;  // the shifted tokens' embedding
  }
  if (!held.last) t.pp += bytes(z.own * z.hidden);
  if (!held.first) t.pp += bytes(z.own * z.hidden);
  return t;
}

}  // namespace eddy::model
