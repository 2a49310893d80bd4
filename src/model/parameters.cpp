#include "model/parameters.h"

#include <algorithm>
#include <limits>

#include "base/error.h"

namespace eddy::model {
using parallel::Coordinates;
using parallel::Group;
using parallel::Layout;
using parallel::ParameterInfo;

namespace {

/// Adds parameters of one rank, cut as the layout says.
class Lister {
 public:
  Lister(const hf::ModelConfig& config, const Layout& layout, const Coordinates& at, std::vector<ParameterInfo>& out)
      : c_(config), layout_(layout), at_(at), out_(out) {}

  void embedding(int layer, bool tied_copy) {
    auto& p = split("model.embed_tokens.weight", {c_.vocab_size, c_.hidden_size}, 0, layer);
    p.tied_copy = tied_copy;
  }
  void head(int layer) {
    norm("model.norm.weight", c_.hidden_size, layer);
    split("lm_head.weight", {c_.vocab_size, c_.hidden_size}, 0, layer);
  }
  void decoder_layer(int layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    const int h = c_.hidden_size, qk = c_.qk_head_dim(), heads = c_.num_heads;
    norm(p + "input_layernorm.weight", h, layer);
    const std::string a = p + "self_attn.";
    if (c_.q_lora_rank > 0) {
      whole(a + "q_a_proj.weight", {c_.q_lora_rank, h}, layer);
      norm(a + "q_a_layernorm.weight", c_.q_lora_rank, layer);
      split(a + "q_b_proj.weight", {heads * qk, c_.q_lora_rank}, 0, layer);
    } else {
      split(a + "q_proj.weight", {heads * qk, h}, 0, layer);
    }
    whole(a + "kv_a_proj_with_mqa.weight", {c_.kv_lora_rank + c_.qk_rope_head_dim, h}, layer);
    norm(a + "kv_a_layernorm.weight", c_.kv_lora_rank, layer);
    split(a + "kv_b_proj.weight", {heads * (c_.qk_nope_head_dim + c_.v_head_dim), c_.kv_lora_rank}, 0, layer);
    split(a + "o_proj.weight", {h, heads * c_.v_head_dim}, 1, layer);
    norm(p + "post_attention_layernorm.weight", h, layer);
    if (c_.is_moe(layer))
      experts(p + "mlp.", layer);
    else
      dense(p + "mlp.", layer);
  }
  void mtp(int layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    norm(p + "enorm.weight", c_.hidden_size, layer);
    norm(p + "hnorm.weight", c_.hidden_size, layer);
    whole(p + "eh_proj.weight", {c_.hidden_size, 2 * c_.hidden_size}, layer);
    decoder_layer(layer);
    norm(p + "shared_head.norm.weight", c_.hidden_size, layer);
  }

 private:
  using Dims = std::vector<std::int64_t>;
  ParameterInfo& add(const std::string& name, Dims shape, Group replicas, int layer) {
    ParameterInfo p;
    p.name = name;
    p.begin.assign(shape.size(), 0);
    p.extent = p.global_shape = std::move(shape);
    p.replicas = replicas;
    p.decay = p.global_shape.size() > 1;
    p.layer = layer;
    out_.push_back(std::move(p));
    return out_.back();
  }
  ParameterInfo& whole(const std::string& name, Dims shape, int layer) {
    return add(name, std::move(shape), Group::stage, layer);
  }
  void norm(const std::string& name, std::int64_t n, int layer) { whole(name, {n}, layer); }
  /// Cut along `axis` into TP parts; a vocabulary that TP does not divide gives parts that differ by one row.
  ParameterInfo& split(const std::string& name, Dims shape, std::size_t axis, int layer) {
    auto& p = add(name, std::move(shape), Group::dp, layer);
    const std::int64_t n = p.global_shape[axis];
    p.begin[axis] = n * at_.tp / layout_.tp;
    p.extent[axis] = n * (at_.tp + 1) / layout_.tp - p.begin[axis];
    return p;
  }
  void dense(const std::string& p, int layer) {
    split(p + "gate_proj.weight", {c_.intermediate_size, c_.hidden_size}, 0, layer);
    split(p + "up_proj.weight", {c_.intermediate_size, c_.hidden_size}, 0, layer);
    split(p + "down_proj.weight", {c_.hidden_size, c_.intermediate_size}, 1, layer);
  }
  void experts(const std::string& p, int layer) {
    whole(p + "gate.weight", {c_.n_routed_experts, c_.hidden_size}, layer);
    if (c_.topk_method == "noaux_tc") {
      auto& bias = whole(p + "gate.e_score_correction_bias", {c_.n_routed_experts}, layer);
      bias.trainable = bias.decay = false;
    }
    const std::int64_t local = c_.n_routed_experts / layout_.ep;
    for (auto& [name, rows, cols] : {std::tuple{"gate_up_proj", 2 * c_.moe_intermediate_size, c_.hidden_size},
                                     std::tuple{"down_proj", c_.hidden_size, c_.moe_intermediate_size}}) {
      auto& e = add(p + "experts." + name, {c_.n_routed_experts, rows, cols}, Group::edp, layer);
      e.begin[0] = local * at_.ep;
      e.extent[0] = local;
    }
    if (c_.n_shared_experts > 0) {  // replicated over TP: each rank runs it on its own tokens (docs/decisions)
      const std::int64_t width = static_cast<std::int64_t>(c_.n_shared_experts) * c_.moe_intermediate_size;
      whole(p + "shared_experts.gate_proj.weight", {width, c_.hidden_size}, layer);
      whole(p + "shared_experts.up_proj.weight", {width, c_.hidden_size}, layer);
      whole(p + "shared_experts.down_proj.weight", {c_.hidden_size, width}, layer);
    }
  }

  const hf::ModelConfig& c_;
  const Layout& layout_;
  const Coordinates& at_;
  std::vector<ParameterInfo>& out_;
};

/// Forward FLOPs of one token in one decoder layer, attention over seq_len / 2 keys on average.
double layer_flops(const hf::ModelConfig& c, int layer, std::int64_t seq_len) {
  const double h = c.hidden_size, heads = c.num_heads, qk = c.qk_head_dim(), v = c.v_head_dim;
  double params =
      h * (c.kv_lora_rank + c.qk_rope_head_dim) + heads * (c.qk_nope_head_dim + v) * c.kv_lora_rank + h * heads * v;
  params += c.q_lora_rank > 0 ? c.q_lora_rank * (h + heads * qk) : heads * qk * h;
  params += c.is_moe(layer) ? 3 * h * c.moe_intermediate_size * (c.top_k + c.n_shared_experts) + h * c.n_routed_experts
                            : 3 * h * c.intermediate_size;
  return 2 * params + 2 * (static_cast<double>(seq_len) / 2) * heads * (qk + v);
}
double head_flops(const hf::ModelConfig& c) {
  return 2.0 * c.hidden_size * c.vocab_size;
}
double mtp_flops(const hf::ModelConfig& c, std::int64_t seq_len) {
  return layer_flops(c, c.num_layers, seq_len) + head_flops(c) + 4.0 * c.hidden_size * c.hidden_size;
}

}  // namespace

StagePlan plan_stages(const hf::ModelConfig& c, int pp, bool mtp, std::int64_t seq_len) {
  const int n = c.num_layers;
  if (pp < 1 || pp > n) fail_input("parallel.pp={}: a model of {} layers has 1 to {} pipeline stages", pp, n, n);
  std::vector<double> sum(static_cast<std::size_t>(n) + 1, 0);
  for (int l = 0; l < n; ++l)
    sum[static_cast<std::size_t>(l) + 1] = sum[static_cast<std::size_t>(l)] + layer_flops(c, l, seq_len);
  const double tail = head_flops(c) + (mtp ? mtp_flops(c, seq_len) : 0);
  // best[s][l]: the least possible cost of the costliest of s stages that hold the first l layers.
  const double inf = std::numeric_limits<double>::infinity();
  std::vector<std::vector<double>> best(static_cast<std::size_t>(pp) + 1,
                                        std::vector<double>(static_cast<std::size_t>(n) + 1, inf));
  std::vector<std::vector<int>> cut(static_cast<std::size_t>(pp) + 1,
                                    std::vector<int>(static_cast<std::size_t>(n) + 1, 0));
  best[0][0] = 0;
  for (std::size_t s = 1; s <= static_cast<std::size_t>(pp); ++s)
    for (int l = static_cast<int>(s); l <= n; ++l)
      for (int k = static_cast<int>(s) - 1; k < l; ++k) {
        const double last = sum[static_cast<std::size_t>(l)] - sum[static_cast<std::size_t>(k)] +
                            (static_cast<int>(s) == pp ? tail : 0);
        const double cost = std::max(best[s - 1][static_cast<std::size_t>(k)], last);
        if (cost < best[s][static_cast<std::size_t>(l)]) {
          best[s][static_cast<std::size_t>(l)] = cost;
          cut[s][static_cast<std::size_t>(l)] = k;
        }
      }
  StagePlan plan;
  plan.mtp = mtp;
  plan.stages.resize(static_cast<std::size_t>(pp));
  int end = n;
  for (auto s = static_cast<std::size_t>(pp); s > 0; --s) {
    plan.stages[s - 1] = {cut[s][static_cast<std::size_t>(end)], end};
    end = plan.stages[s - 1].first;
  }
  return plan;
}

parallel::Divisors divisors(const hf::ModelConfig& c) {
  return {c.num_heads, std::max(1, c.n_routed_experts),
          c.first_k_dense_replace > 0 || c.n_routed_experts == 0 ? c.intermediate_size : 1, c.num_layers};
}

std::vector<ParameterInfo> stage_parameters(const hf::ModelConfig& config, const Layout& layout, int rank,
                                            const StagePlan& plan, Dtype dtype) {
  const Coordinates at = parallel::coordinates(layout, rank);
  const auto& range = plan.stages.at(static_cast<std::size_t>(at.pp));
  const bool first = at.pp == 0, last = at.pp == layout.pp - 1;
  std::vector<ParameterInfo> out;
  Lister list(config, layout, at, out);
  if (first) list.embedding(-1, false);
  for (int l = range.first; l < range.last; ++l) list.decoder_layer(l);
  if (last) {
    list.head(config.num_layers);
    if (plan.mtp) {
      if (!first) list.embedding(-1, true);
      list.mtp(config.num_layers);
    }
  }
  for (auto& info : out)
    if (info.trainable) info.dtype = dtype;
  return out;
}

std::vector<ParameterInfo> all_parameters(const hf::ModelConfig& config, bool mtp) {
  return stage_parameters(config, Layout{}, 0, plan_stages(config, 1, mtp, 1));
}

double forward_flops_per_token(const hf::ModelConfig& c, bool mtp, std::int64_t seq_len) {
  return stage_flops_per_token(c, {{{0, c.num_layers}}, mtp}, seq_len).front();
}

std::vector<double> stage_flops_per_token(const hf::ModelConfig& c, const StagePlan& plan, std::int64_t seq_len) {
  std::vector<double> flops;
  for (const auto& range : plan.stages) {
    flops.push_back(0);
    for (int l = range.first; l < range.last; ++l) flops.back() += layer_flops(c, l, seq_len);
  }
  flops.back() += head_flops(c) + (plan.mtp ? mtp_flops(c, seq_len) : 0);
  return flops;
}

}  // namespace eddy::model
