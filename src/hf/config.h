#pragma once
// A model's shape, as Hugging Face's config.json of model_type deepseek_v3 (alias kimi_k2) gives it.
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace eddy::hf {

/// YaRN (Peng et al. 2023); factor 1 means plain RoPE. What follows from it: rope.h.
struct RopeScaling {
  double factor = 1;
  int original_max_position = 0;
  double beta_fast = 32, beta_slow = 1;    ///< rotations over the original positions
  double mscale = 0, mscale_all_dim = 0;   ///< 0: not given
  std::optional<double> attention_factor;  ///< the magnitude of cos and sin, when the file fixes it
  bool truncate = true;                    ///< the ramp's ends are rounded to whole dimensions
  bool operator==(const RopeScaling&) const = default;
};

struct ModelConfig {
  int vocab_size = 0;
  int hidden_size = 0;
  int intermediate_size = 0;      ///< width of dense layers
  int moe_intermediate_size = 0;  ///< width of one expert
  int num_layers = 0;
  int num_heads = 0;
  int n_shared_experts = 0;
  int n_routed_experts = 0;  ///< 0: all layers are dense
  int top_k = 0;
  int n_group = 1, topk_group = 1;
  double routed_scaling_factor = 1;
  bool norm_topk_prob = true;
  bool sigmoid_scoring = true;           ///< scoring_func; missing: sigmoid
  std::string topk_method = "noaux_tc";  ///< noaux_tc, group_limited_greedy, greedy; missing: noaux_tc
  int first_k_dense_replace = 0;
  int kv_lora_rank = 0;
  int q_lora_rank = 0;  ///< 0: q_lora_rank null, a plain q_proj
  int qk_nope_head_dim = 0, qk_rope_head_dim = 0, v_head_dim = 0;
  int max_position_embeddings = 0;
  double rope_theta = 10000;
  std::optional<RopeScaling> rope_scaling;
  double rms_norm_eps = 1e-6;
  int num_mtp_layers = 0;  ///< num_nextn_predict_layers as announced (0 or 1)
  double initializer_range = 0.02;
  int bos_token_id = 0, eos_token_id = 1;
  std::string original;  ///< the JSON as read (or empty): what Eddy does not use is carried through conversions

  int qk_head_dim() const { return qk_nope_head_dim + qk_rope_head_dim; }
  bool is_moe(int layer) const {
    return n_routed_experts > 0 && layer >= first_k_dense_replace;
  }  ///< the MTP layer (index num_layers) too
  /// Softmax scale: qk_head_dim^-½ times mscale(factor, mscale_all_dim)² under YaRN.
  double attention_scale() const;
};

/// Reads config.json (or a folder that holds one); both spellings of RoPE (`rope_scaling` + `rope_theta`,
/// `rope_parameters`). Throws Error (status 2) naming file and key for bad JSON, a missing or impossible value, another
/// model_type.
ModelConfig read_config(const std::filesystem::path& path);
ModelConfig parse_config(const nlohmann::ordered_json& json, const std::string& where);
/// config.json's content. DeepSeek's own spelling (rope_theta, rope_scaling, torch_dtype) or transformers' newer one.
enum class Spelling { deepseek, transformers };
/// Keys stay in the order of the original. `quantization` (an object) becomes its quantization_config; without one
/// there is none, as for weights in F32 or BF16.
nlohmann::ordered_json write_config(const ModelConfig& config, Spelling spelling, const std::string& dtype,
                                    const nlohmann::ordered_json* quantization = nullptr);
/// Takes out again what the original left to its readers' defaults and write_config says.
void leave_defaults_out(nlohmann::ordered_json& json, const ModelConfig& config);

}  // namespace eddy::hf
