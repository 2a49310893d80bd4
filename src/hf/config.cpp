#include "hf/config.h"

#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "hf/config_reader.h"
#include "hf/rope.h"
#include "io/file.h"

namespace eddy::hf {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::int64_t kLargest = 1 << 30;

struct Rope {
  std::optional<double> theta;
  std::optional<RopeScaling> scaling;
};

/// `rope_scaling` or `rope_parameters`: null, plain ("default") or YaRN.
Rope parse_rope(const Json& json, const std::string& where) {
  Rope rope;
  if (json.is_null()) return rope;
  const ConfigReader in(json, where);
  if (in.has("rope_theta")) rope.theta = in.number("rope_theta");
  const std::string type = in.has("rope_type") ? in.text("rope_type", "") : in.text("type", "default");
  if (type == "default") return rope;
  if (type != "yarn")
    in.fail(in.has("rope_type") ? "rope_type" : "type", "is '" + type + "'; Eddy knows 'yarn' and 'default'");
  RopeScaling s;
  s.factor = in.number("factor");
  if (s.factor < 1) in.fail("factor", "must be at least 1");
  s.original_max_position = in.integer("original_max_position_embeddings", 1, kLargest);
  // 0 and null stand for the default, as in transformers' _compute_yarn_parameters
  if (const double fast = in.number("beta_fast", 0); fast != 0) s.beta_fast = fast;
  if (const double slow = in.number("beta_slow", 0); slow != 0) s.beta_slow = slow;
  if (s.beta_slow < 0 || s.beta_fast < s.beta_slow)
    in.fail("beta_fast", "must be at least beta_slow, and both above 0");
  s.mscale = in.number("mscale", 0);
  s.mscale_all_dim = in.number("mscale_all_dim", 0);
  if (in.has("attention_factor")) s.attention_factor = in.number("attention_factor");
  s.truncate = in.boolean("truncate", true);
  rope.scaling = s;
  return rope;
}

void parse_rope(ModelConfig& c, const ConfigReader& in, const Json& json, const std::string& where) {
  const bool old_way = in.has("rope_scaling"), new_way = in.has("rope_parameters");
  const Rope old_rope = old_way ? parse_rope(json.at("rope_scaling"), where + ": rope_scaling") : Rope{};
  const Rope new_rope = new_way ? parse_rope(json.at("rope_parameters"), where + ": rope_parameters") : Rope{};
  if (old_way && new_way && old_rope.scaling != new_rope.scaling)
    in.fail("rope_scaling", "and rope_parameters contradict each other");
  c.rope_scaling = new_way ? new_rope.scaling : old_rope.scaling;
  const std::optional<double> inside = new_rope.theta ? new_rope.theta : old_rope.theta;
  c.rope_theta = in.number("rope_theta", inside.value_or(10000));
  if (inside && c.rope_theta != *inside) in.fail("rope_theta", "differs from the one inside rope_parameters");
  if (c.rope_theta <= 1) in.fail("rope_theta", "must be above 1");
}

void parse_experts(ModelConfig& c, const ConfigReader& in) {
  c.n_routed_experts = in.integer("n_routed_experts", 0, kLargest, 0);
  if (c.n_routed_experts == 0) return;
  c.moe_intermediate_size = in.integer("moe_intermediate_size", 1, kLargest);
  in.present("n_shared_experts", "write null for none");
  c.n_shared_experts = in.integer("n_shared_experts", 0, kLargest, 0);
  c.first_k_dense_replace = in.integer("first_k_dense_replace", 0, c.num_layers);
  c.n_group = in.integer("n_group", 1, c.n_routed_experts);
  c.topk_group = in.integer("topk_group", 1, c.n_group);
  if (c.n_routed_experts % c.n_group) in.fail("n_group", "must divide n_routed_experts");
  const int in_group = c.n_routed_experts / c.n_group;
  c.top_k = in.integer("num_experts_per_tok", 1, std::int64_t{in_group} * c.topk_group);
  c.routed_scaling_factor = in.number("routed_scaling_factor");
  c.norm_topk_prob = in.boolean("norm_topk_prob");
  const std::string scoring = in.text("scoring_func", "sigmoid");
  if (scoring != "sigmoid" && scoring != "softmax")
    in.fail("scoring_func", "is '" + scoring + "'; Eddy knows sigmoid and softmax");
  c.sigmoid_scoring = scoring == "sigmoid";
  c.topk_method = in.text("topk_method", "noaux_tc");
  if (c.topk_method != "noaux_tc" && c.topk_method != "group_limited_greedy" && c.topk_method != "greedy")
    in.fail("topk_method", "is '" + c.topk_method + "'; Eddy knows noaux_tc, group_limited_greedy and greedy");
  if (c.topk_method == "noaux_tc" && in_group < 2)
    in.fail("n_group", "leaves one expert a group; noaux_tc ranks groups by their best two");
  if (in.integer("moe_layer_freq", 0, kLargest, 1) != 1)
    in.fail("moe_layer_freq", "must be 1: every layer after the dense ones has experts");
}

/// What other models of this family switch on and Eddy does not compute.
void refuse_foreign(const ModelConfig& c, const ConfigReader& in) {
  if (in.boolean("attention_bias", false)) in.fail("attention_bias", "is true; DeepSeek-V3 has no biases in attention");
  if (in.boolean("tie_word_embeddings", false))
    in.fail("tie_word_embeddings", "is true; Eddy keeps embedding and head apart");
  if (!in.boolean("rope_interleave", true))
    in.fail("rope_interleave", "is false; Eddy rotates interleaved pairs, as the published weights expect");
  if (const auto act = in.text("hidden_act", "silu"); act != "silu")
    in.fail("hidden_act", "is '" + act + "'; Eddy knows silu");
  if (in.integer("num_key_value_heads", 1, kLargest, c.num_heads) != c.num_heads)
    in.fail("num_key_value_heads", "must equal num_attention_heads (multi-head latent attention)");
}

}  // namespace

double ModelConfig::attention_scale() const {
  const double scale = 1 / std::sqrt(static_cast<double>(qk_head_dim()));
  if (!rope_scaling || rope_scaling->mscale_all_dim == 0) return scale;
  const double m = yarn_mscale(rope_scaling->factor, rope_scaling->mscale_all_dim);
  return scale * m * m;
}

ModelConfig parse_config(const Json& json, const std::string& where) {
  if (!json.is_object()) fail_input("{}: not a JSON object; a model's config.json is needed", where);
  const ConfigReader in(json, where);
  const std::string type = in.text("model_type", "");
  if (type != "deepseek_v3" && type != "kimi_k2")
    in.fail("model_type", "is '" + type + "'; Eddy trains models of type deepseek_v3 (or kimi_k2)");
  ModelConfig c;
  c.original = json.dump();
  c.vocab_size = in.integer("vocab_size", 1, kLargest);
  c.hidden_size = in.integer("hidden_size", 1, kLargest);
  c.intermediate_size = in.integer("intermediate_size", 1, kLargest);
  c.num_layers = in.integer("num_hidden_layers", 1, 100000);
  c.num_heads = in.integer("num_attention_heads", 1, kLargest);
  c.kv_lora_rank = in.integer("kv_lora_rank", 1, kLargest);
  in.present("q_lora_rank", "write null for a model with a plain q_proj");
  c.q_lora_rank = in.integer("q_lora_rank", 1, kLargest, 0);
  c.qk_nope_head_dim = in.integer("qk_nope_head_dim", 1, kLargest);
  c.qk_rope_head_dim = in.integer("qk_rope_head_dim", 2, kLargest);
  if (c.qk_rope_head_dim % 2) in.fail("qk_rope_head_dim", "must be even: positions rotate pairs");
  c.v_head_dim = in.integer("v_head_dim", 1, kLargest);
  c.max_position_embeddings = in.integer("max_position_embeddings", 1, kLargest);
  c.rms_norm_eps = in.number("rms_norm_eps", 1e-6);
  if (c.rms_norm_eps <= 0) in.fail("rms_norm_eps", "must be above 0");
  c.initializer_range = in.number("initializer_range", 0.02);
  c.num_mtp_layers = in.integer("num_nextn_predict_layers", 0, kLargest, 0);
  if (c.num_mtp_layers > 1)
    in.fail("num_nextn_predict_layers", "is above 1; Eddy knows one multi-token-prediction layer");
  c.bos_token_id = in.token("bos_token_id", 0);
  c.eos_token_id = in.token("eos_token_id", 1);
  parse_experts(c, in);
  parse_rope(c, in, json, where);
  refuse_foreign(c, in);
  return c;
}

ModelConfig read_config(const std::filesystem::path& path) {
  std::error_code ignored;
  const auto file = std::filesystem::is_directory(path, ignored) ? path / "config.json" : path;
  return parse_config(parse_json<Json>(io::read_file(file), file.string()), file.string());
}

}  // namespace eddy::hf
