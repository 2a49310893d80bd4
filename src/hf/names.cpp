#include "hf/names.h"

#include <charconv>

#include "hf/fp8.h"

namespace eddy::hf {
namespace {

constexpr std::string_view kEmbedding = "model.embed_tokens.weight", kHead = "lm_head.weight";

std::string layer_prefix(int layer) {
  return "model.layers." + std::to_string(layer) + ".";
}

class Lister {
 public:
  Lister(const ModelConfig& config, bool stacked) : c_(config), stacked_(stacked) {}

  void add(const std::string& name, std::vector<std::int64_t> shape) {
    out_.push_back({name + ".weight", std::move(shape), false});
  }
  void layer(int index);
  void mtp(bool copies);
  std::vector<NamedShape> take() { return std::move(out_); }

 private:
  void attention(const std::string& prefix);
  void mlp(const std::string& prefix, std::int64_t width);
  void experts(const std::string& prefix);

  const ModelConfig& c_;
  bool stacked_;
  std::vector<NamedShape> out_;
};

void Lister::attention(const std::string& p) {
  const std::int64_t h = c_.hidden_size, heads = c_.num_heads;
  if (c_.q_lora_rank) {
    add(p + "q_a_proj", {c_.q_lora_rank, h});
    add(p + "q_a_layernorm", {c_.q_lora_rank});
    add(p + "q_b_proj", {heads * c_.qk_head_dim(), c_.q_lora_rank});
  } else {
    add(p + "q_proj", {heads * c_.qk_head_dim(), h});
  }
  add(p + "kv_a_proj_with_mqa", {c_.kv_lora_rank + c_.qk_rope_head_dim, h});
  add(p + "kv_a_layernorm", {c_.kv_lora_rank});
  add(p + "kv_b_proj", {heads * (c_.qk_nope_head_dim + c_.v_head_dim), c_.kv_lora_rank});
  add(p + "o_proj", {h, heads * c_.v_head_dim});
}

void Lister::mlp(const std::string& p, std::int64_t width) {
  add(p + "gate_proj", {width, c_.hidden_size});
  add(p + "up_proj", {width, c_.hidden_size});
  add(p + "down_proj", {c_.hidden_size, width});
}

void Lister::experts(const std::string& p) {
  const std::int64_t width = c_.moe_intermediate_size, h = c_.hidden_size;
  add(p + "gate", {c_.n_routed_experts, h});
  if (c_.topk_method == "noaux_tc") out_.push_back({p + "gate.e_score_correction_bias", {c_.n_routed_experts}, true});
  if (c_.n_shared_experts) mlp(p + "shared_experts.", width * c_.n_shared_experts);
  if (stacked_) {
    out_.push_back({p + "experts.gate_up_proj", {c_.n_routed_experts, 2 * width, h}, false});
    out_.push_back({p + "experts.down_proj", {c_.n_routed_experts, h, width}, false});
  } else {
    for (int e = 0; e < c_.n_routed_experts; ++e) mlp(p + "experts." + std::to_string(e) + ".", width);
  }
}

void Lister::layer(int index) {
  const std::string p = layer_prefix(index);
  add(p + "input_layernorm", {c_.hidden_size});
  attention(p + "self_attn.");
  add(p + "post_attention_layernorm", {c_.hidden_size});
  if (c_.is_moe(index))
    experts(p + "mlp.");
  else
    mlp(p + "mlp.", c_.intermediate_size);
}

void Lister::mtp(bool copies) {
  const std::string p = layer_prefix(c_.num_layers);
  const std::int64_t h = c_.hidden_size;
  if (copies) add(p + "embed_tokens", {c_.vocab_size, h});
  add(p + "enorm", {h});
  add(p + "hnorm", {h});
  add(p + "eh_proj", {h, 2 * h});
  layer(c_.num_layers);
  add(p + "shared_head.norm", {h});
  if (copies) add(p + "shared_head.head", {c_.vocab_size, h});
}

std::vector<NamedShape> all(const ModelConfig& c, bool stacked, bool with_mtp, bool copies) {
  Lister list(c, stacked);
  list.add("model.embed_tokens", {c.vocab_size, c.hidden_size});
  for (int i = 0; i < c.num_layers; ++i) list.layer(i);
  if (with_mtp) list.mtp(copies);
  list.add("model.norm", {c.hidden_size});
  list.add("lm_head", {c.vocab_size, c.hidden_size});
  return list.take();
}

}  // namespace

std::vector<NamedShape> expected_tensors(const ModelConfig& config, bool with_mtp, bool mtp_copies) {
  return all(config, false, with_mtp, mtp_copies);
}

std::vector<NamedShape> eddy_tensors(const ModelConfig& config, bool with_mtp) {
  return all(config, true, with_mtp, false);
}

std::optional<std::string> mtp_copy_of(const ModelConfig& config, const std::string& main_name) {
  if (main_name == kEmbedding) return layer_prefix(config.num_layers) + "embed_tokens.weight";
  if (main_name == kHead) return layer_prefix(config.num_layers) + "shared_head.head.weight";
  return {};
}

Placement placement(const ModelConfig& c, const NamedShape& tensor) {
  const std::vector<std::int64_t> origin(tensor.shape.size(), 0);
  for (const std::string_view main : {kEmbedding, kHead})
    if (tensor.name == mtp_copy_of(c, std::string(main)))
      return {std::string(main), tensor.shape, origin, tensor.shape};
  static constexpr std::string_view kExperts = ".mlp.experts.";
  const std::size_t at = tensor.name.find(kExperts);
  if (at == std::string::npos) return {tensor.name, tensor.shape, origin, tensor.shape};
  const char* const number = tensor.name.data() + at + kExperts.size();
  std::int64_t expert = 0;
  const char* const rest = std::from_chars(number, tensor.name.data() + tensor.name.size(), expert).ptr;
  const std::string_view kind(rest);
  const std::string stack = tensor.name.substr(0, at + kExperts.size());
  const std::int64_t rows = tensor.shape.at(0), cols = tensor.shape.at(1);
  if (kind == ".down_proj.weight")
    return {stack + "down_proj", {c.n_routed_experts, rows, cols}, {expert, 0, 0}, {1, rows, cols}};
  const std::int64_t first_row = kind == ".up_proj.weight" ? rows : 0;
  return {stack + "gate_up_proj", {c.n_routed_experts, 2 * rows, cols}, {expert, first_row, 0}, {1, rows, cols}};
}

Placement scale_placement(const ModelConfig& c, const NamedShape& matrix) {
  Placement p = placement(c, {matrix.name, fp8_scale_shape(matrix.shape), false});
  p.name = scale_name(p.name);
  return p;
}

}  // namespace eddy::hf
