#include "hf/config.h"

#include <nlohmann/json.hpp>

namespace eddy::hf {
namespace {

using Json = nlohmann::ordered_json;

/// What the file said of RoPE beyond the keys Eddy reads is kept.
Json rope_object(const ModelConfig& c, const Json& original, Spelling spelling) {
  Json rope = Json::object();
  for (const char* key : {"rope_scaling", "rope_parameters"})
    if (const auto it = original.find(key); it != original.end() && it->is_object()) rope = *it;
  const std::string type = c.rope_scaling ? "yarn" : "default";
  if (spelling == Spelling::transformers) {
    rope.erase("type");
    rope["rope_theta"] = c.rope_theta;
    rope["rope_type"] = type;
  } else {
    rope.erase("rope_theta");
    rope.erase("rope_type");
    rope["type"] = type;
  }
  if (!c.rope_scaling) return rope;
  const RopeScaling& s = *c.rope_scaling;
  rope["factor"] = s.factor;
  rope["original_max_position_embeddings"] = s.original_max_position;
  rope["beta_fast"] = s.beta_fast;
  rope["beta_slow"] = s.beta_slow;
  if (s.mscale != 0) rope["mscale"] = s.mscale;
  if (s.mscale_all_dim != 0) rope["mscale_all_dim"] = s.mscale_all_dim;
  if (s.attention_factor) rope["attention_factor"] = *s.attention_factor;
  if (!s.truncate) rope["truncate"] = false;
  return rope;
}

void write_experts(Json& out, const ModelConfig& c) {
  if (c.n_routed_experts == 0) {
    out["n_routed_experts"] = nullptr;
    return;
  }
  out["moe_intermediate_size"] = c.moe_intermediate_size;
  out["n_shared_experts"] = c.n_shared_experts ? Json(c.n_shared_experts) : Json(nullptr);
  out["n_routed_experts"] = c.n_routed_experts;
  out["num_experts_per_tok"] = c.top_k;
  out["n_group"] = c.n_group;
  out["topk_group"] = c.topk_group;
  out["routed_scaling_factor"] = c.routed_scaling_factor;
  out["norm_topk_prob"] = c.norm_topk_prob;
  out["scoring_func"] = c.sigmoid_scoring ? "sigmoid" : "softmax";
  out["topk_method"] = c.topk_method;
  out["first_k_dense_replace"] = c.first_k_dense_replace;
  out["moe_layer_freq"] = 1;
}

}  // namespace

Json write_config(const ModelConfig& c, Spelling spelling, const std::string& dtype, const Json* quantization) {
  const Json original = c.original.empty() ? Json::object() : Json::parse(c.original);
  Json out = original;
  if (!out.contains("architectures")) out["architectures"] = {"DeepseekV3ForCausalLM"};
  if (!out.contains("model_type")) out["model_type"] = "deepseek_v3";
  out["vocab_size"] = c.vocab_size;
  out["hidden_size"] = c.hidden_size;
  out["intermediate_size"] = c.intermediate_size;
  out["num_hidden_layers"] = c.num_layers;
  out["num_attention_heads"] = c.num_heads;
  out["num_key_value_heads"] = c.num_heads;
  out["kv_lora_rank"] = c.kv_lora_rank;
  out["q_lora_rank"] = c.q_lora_rank ? Json(c.q_lora_rank) : Json(nullptr);
  out["qk_nope_head_dim"] = c.qk_nope_head_dim;
  out["qk_rope_head_dim"] = c.qk_rope_head_dim;
  out["v_head_dim"] = c.v_head_dim;
  out["max_position_embeddings"] = c.max_position_embeddings;
  out["rms_norm_eps"] = c.rms_norm_eps;
  out["initializer_range"] = c.initializer_range;
  out["num_nextn_predict_layers"] = c.num_mtp_layers;
  out["hidden_act"] = "silu";
  out["attention_bias"] = false;
  out["tie_word_embeddings"] = false;
  if (!out.contains("bos_token_id")) out["bos_token_id"] = c.bos_token_id;
  if (!out.contains("eos_token_id")) out["eos_token_id"] = c.eos_token_id;
  write_experts(out, c);
  const Json rope = rope_object(c, original, spelling);
  if (spelling == Spelling::transformers) {
    for (const char* key : {"rope_theta", "rope_scaling", "torch_dtype"}) out.erase(key);
    out["rope_parameters"] = rope;
    out["dtype"] = dtype;
  } else {
    for (const char* key : {"rope_parameters", "dtype"}) out.erase(key);
    out["rope_theta"] = c.rope_theta;
    out["rope_scaling"] = c.rope_scaling ? rope : Json(nullptr);
    out["torch_dtype"] = dtype;
  }
  if (quantization)
    out["quantization_config"] = *quantization;
  else
    out.erase("quantization_config");
  return out;
}

void leave_defaults_out(Json& json, const ModelConfig& config) {
  if (config.original.empty()) return;
  const Json original = Json::parse(config.original);
  for (const auto& [key, usual] : {std::pair{"initializer_range", Json(0.02)}, std::pair{"bos_token_id", Json(0)},
                                   std::pair{"eos_token_id", Json(1)}})
    if (!original.contains(key) && json.contains(key) && json.at(key) == usual) json.erase(key);
}

}  // namespace eddy::hf
