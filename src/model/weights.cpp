#include "model/weights.h"

namespace eddy::model {
namespace {
MlpWeights mlp_weights(const parallel::ParameterStore& s, const std::string& p) {
  return {&s.at(p + "gate_proj.weight"), &s.at(p + "up_proj.weight"), &s.at(p + "down_proj.weight")};
}
}  // namespace

LayerWeights layer_weights(const hf::ModelConfig& config, const parallel::ParameterStore& s, int layer) {
  const std::string p = "model.layers." + std::to_string(layer) + ".", a = p + "self_attn.", m = p + "mlp.";
  LayerWeights w;
  w.input_norm = &s.at(p + "input_layernorm.weight");
  w.post_norm = &s.at(p + "post_attention_layernorm.weight");
  if (config.q_lora_rank > 0) {
    w.attention.q_a = &s.at(a + "q_a_proj.weight");
    w.attention.q_a_norm = &s.at(a + "q_a_layernorm.weight");
    w.attention.q_b = &s.at(a + "q_b_proj.weight");
  } else {
    w.attention.q_b = &s.at(a + "q_proj.weight");
  }
  w.attention.kv_a = &s.at(a + "kv_a_proj_with_mqa.weight");
  w.attention.kv_a_norm = &s.at(a + "kv_a_layernorm.weight");
  w.attention.kv_b = &s.at(a + "kv_b_proj.weight");
  w.attention.o = &s.at(a + "o_proj.weight");
  if (!config.is_moe(layer)) {
    w.mlp = mlp_weights(s, m);
    return w;
  }
  MoeWeights moe{};
  moe.gate = &s.at(m + "gate.weight");
  moe.bias = s.find(m + "gate.e_score_correction_bias");
  moe.gate_up = &s.at(m + "experts.gate_up_proj");
  moe.down = &s.at(m + "experts.down_proj");
  if (config.n_shared_experts > 0) moe.shared = mlp_weights(s, m + "shared_experts.");
  w.moe = moe;
  return w;
}

MtpWeights mtp_weights(const hf::ModelConfig& config, const parallel::ParameterStore& s) {
  const std::string p = "model.layers." + std::to_string(config.num_layers) + ".";
  return {&s.at(p + "enorm.weight"), &s.at(p + "hnorm.weight"), &s.at(p + "eh_proj.weight"),
          &s.at(p + "shared_head.norm.weight"), layer_weights(config, s, config.num_layers)};
}

}  // namespace eddy::model
