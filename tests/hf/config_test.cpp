// config.json: both spellings, defaults, what is refused; parameter counts of the real models.
#include "hf/config.h"

#include <cmath>

#include "base/json.h"
#include "catch.h"
#include "hf/names.h"
#include "refusal.h"
#include "support.h"

using namespace eddy;
using eddy_test::lacks;
using eddy_test::refusal;
using Json = nlohmann::ordered_json;

namespace {

Json r1() {
  const auto file = eddy_test::source_dir() / "configs/model/deepseek-r1.json";
  return parse_json<Json>(eddy_test::read_file(file), file.string());
}
hf::ModelConfig parse(const Json& json) {
  return hf::parse_config(json, "config.json");
}

/// The message when one key of R1's configuration is set to something else.
std::string refusal_with(const std::string& key, const Json& value) {
  Json json = r1();
  json[key] = value;
  return refusal([&] { parse(json); });
}

std::int64_t parameters(const std::vector<hf::NamedShape>& tensors) {
  std::int64_t sum = 0;
  for (const auto& t : tensors) {
    std::int64_t n = 1;
    for (const auto extent : t.shape) n *= extent;
    sum += n;
  }
  return sum;
}

}  // namespace

TEST_CASE("DeepSeek-R1's parameters") {
  const auto c = parse(r1());
  CHECK(c.num_layers == 61);
  CHECK(c.n_group == 8);
  CHECK(c.topk_group == 4);
  CHECK(c.rope_scaling->factor == 40);
  CHECK(parameters(hf::expected_tensors(c, false, false)) == 671'026'419'200);
  CHECK(parameters(hf::expected_tensors(c, true, true)) == 684'489'845'504);
  CHECK(parameters(hf::eddy_tensors(c, false)) == 671'026'419'200);
  CHECK(hf::expected_tensors(c, true, true).size() - hf::expected_tensors(c, true, false).size() == 2);
}

TEST_CASE("Moonlight: no q_lora, softmax scale without YaRN, several shared experts") {
  const auto c = hf::read_config(eddy_test::source_dir() / "configs/model/moonlight-16b-a3b.json");
  CHECK(c.q_lora_rank == 0);
  CHECK_FALSE(c.rope_scaling);
  CHECK(c.attention_scale() == approx(1 / std::sqrt(192.0)).epsilon(1e-15));
  // by hand: 2 · 163840·2048 embeddings; a layer's attention 2048·(16·192) + 2048·576 + 512 + 512·(16·256) + 2048·2048,
  // 2 norms; dense 3·2048·11264; experts 64·3·2048·1408 + router 64·2048 + 64 + shared 3·2048·2816; the final norm
  const std::int64_t attention = 2048 * 3072 + 2048 * 576 + 512 + 512 * 4096 + 2048 * 2048 + 2 * 2048;
  const std::int64_t moe = 64LL * 3 * 2048 * 1408 + 64 * 2048 + 64 + 3LL * 2048 * 2816;
  CHECK(parameters(hf::expected_tensors(c, false, false)) ==
        2LL * 163840 * 2048 + 27 * attention + 3LL * 2048 * 11264 + 26 * moe + 2048);
}

TEST_CASE("attention scale under YaRN is multiplied by mscale squared") {
  const double m = 0.1 * std::log(40.0) + 1;  // R1: factor 40, mscale_all_dim 1
  CHECK(parse(r1()).attention_scale() == approx(m * m / std::sqrt(192.0)).epsilon(1e-15));
  Json json = r1();
  json["rope_scaling"]["mscale_all_dim"] = 0;
  CHECK(parse(json).attention_scale() == approx(1 / std::sqrt(192.0)).epsilon(1e-15));
}

TEST_CASE("what transformers leaves out is sigmoid and noaux_tc") {
  Json json = r1();
  json.erase("scoring_func");
  json.erase("topk_method");
  CHECK(parse(json).sigmoid_scoring);
  CHECK(parse(json).topk_method == "noaux_tc");
  json["model_type"] = "kimi_k2";
  CHECK_NOTHROW(parse(json));
}

TEST_CASE("both spellings of RoPE say the same, and are written as asked") {
  const auto c = parse(r1());
  const Json newer = hf::write_config(c, hf::Spelling::transformers, "float32");
  CHECK_FALSE(newer.contains("rope_scaling"));
  CHECK_FALSE(newer.contains("rope_theta"));
  CHECK_FALSE(newer.contains("torch_dtype"));
  CHECK_FALSE(newer.contains("quantization_config"));
  CHECK(newer["dtype"] == "float32");
  CHECK(newer["rope_parameters"]["rope_type"] == "yarn");
  CHECK(newer["rope_parameters"]["rope_theta"] == 10000);
  const auto again = parse(newer);
  CHECK(again.rope_scaling == c.rope_scaling);
  CHECK(again.rope_theta == c.rope_theta);
  Json published = r1();
  published.erase("quantization_config");
  Json back = hf::write_config(again, hf::Spelling::deepseek, "bfloat16");
  CHECK(nlohmann::json(back) == nlohmann::json(published));  // keys sorted: the order may differ

  Json plain = r1();
  plain["rope_scaling"] = nullptr;
  CHECK(hf::write_config(parse(plain), hf::Spelling::transformers, "float32")["rope_parameters"] ==
        Json({{"rope_theta", 10000.0}, {"rope_type", "default"}}));
  CHECK(hf::write_config(parse(plain), hf::Spelling::deepseek, "float32")["rope_scaling"].is_null());
}

TEST_CASE("a configuration written from nothing parses to itself") {
  hf::ModelConfig c = parse(r1());
  c.original.clear();
  c.q_lora_rank = 0;
  c.rope_scaling->attention_factor = 1.25;
  const auto again = parse(hf::write_config(c, hf::Spelling::transformers, "float32"));
  CHECK(again.q_lora_rank == 0);
  CHECK(again.n_routed_experts == 256);
  CHECK(again.rope_scaling == c.rope_scaling);
}

TEST_CASE("a list of end tokens: the first") {
  Json json = r1();
  json["eos_token_id"] = {7, 8};
  CHECK(parse(json).eos_token_id == 7);
}

TEST_CASE("refused: what Eddy does not compute, and impossible values, by file and key") {
  CHECK(lacks(refusal_with("model_type", "llama"), {"config.json: model_type is 'llama'"}) == "");
  CHECK(lacks(refusal_with("attention_bias", true), {"attention_bias"}) == "");
  CHECK(lacks(refusal_with("tie_word_embeddings", true), {"tie_word_embeddings"}) == "");
  CHECK(lacks(refusal_with("hidden_act", "gelu"), {"hidden_act"}) == "");
  CHECK(lacks(refusal_with("moe_layer_freq", 2), {"moe_layer_freq"}) == "");
  CHECK(lacks(refusal_with("num_nextn_predict_layers", 2), {"num_nextn_predict_layers"}) == "");
  CHECK(lacks(refusal_with("rope_interleave", false), {"rope_interleave"}) == "");
  CHECK(lacks(refusal_with("scoring_func", "tanh"), {"scoring_func"}) == "");
  CHECK(lacks(refusal_with("topk_method", "random"), {"topk_method"}) == "");
  CHECK(lacks(refusal_with("num_key_value_heads", 8), {"num_key_value_heads"}) == "");
  CHECK(lacks(refusal_with("hidden_size", "7168"), {"hidden_size is \"7168\"; a whole number"}) == "");
  CHECK(lacks(refusal_with("hidden_size", 7168.5), {"hidden_size"}) == "");
  CHECK(lacks(refusal_with("hidden_size", -1), {"hidden_size"}) == "");
  CHECK(lacks(refusal_with("hidden_size", 1e30), {"hidden_size"}) == "");
  CHECK(lacks(refusal_with("hidden_size", std::uint64_t{1} << 63), {"hidden_size"}) == "");
  CHECK(lacks(refusal_with("hidden_size", nullptr), {"hidden_size is missing"}) == "");
  CHECK(lacks(refusal_with("qk_rope_head_dim", 63), {"qk_rope_head_dim"}) == "");
  CHECK(lacks(refusal_with("n_group", 7), {"n_group"}) == "");
  CHECK(lacks(refusal_with("topk_group", 9), {"topk_group"}) == "");
  CHECK(lacks(refusal_with("num_experts_per_tok", 129), {"num_experts_per_tok"}) == "");
  CHECK(lacks(refusal_with("first_k_dense_replace", 62), {"first_k_dense_replace"}) == "");
  CHECK(lacks(refusal_with("norm_topk_prob", 1), {"norm_topk_prob"}) == "");
  CHECK(lacks(refusal_with("rms_norm_eps", 0), {"rms_norm_eps"}) == "");
  const Json linear = {{"type", "linear"}, {"factor", 2}}, no_factor = {{"type", "yarn"}};
  CHECK(lacks(refusal_with("rope_scaling", linear), {"rope_scaling: type is 'linear'"}) == "");
  CHECK(lacks(refusal_with("rope_scaling", no_factor), {"rope_scaling: factor is missing"}) == "");
  CHECK(lacks(refusal_with("rope_scaling", 3), {"rope_scaling"}) == "");
  CHECK(lacks(refusal_with("rope_parameters", {{"rope_type", "default"}}), {"contradict"}) == "");
  CHECK(lacks(refusal_with("rope_parameters", {{"rope_theta", 5}}), {"rope_"}) == "");
  Json json = r1();
  json.erase("q_lora_rank");
  CHECK(lacks(refusal([&] { parse(json); }), {"q_lora_rank is missing"}) == "");
}

TEST_CASE("files that are no configuration are named") {
  eddy_test::TempDir dir;
  CHECK(lacks(refusal([&] { hf::read_config(dir.path()); }), {"config.json"}) == "");
  eddy_test::write_file(dir / "config.json", "{\"hidden_size\": ");
  CHECK(lacks(refusal([&] { hf::read_config(dir.path()); }), {"config.json"}) == "");
  eddy_test::write_file(dir / "config.json", "[1]");
  CHECK(lacks(refusal([&] { hf::read_config(dir / "config.json"); }), {"not a JSON object"}) == "");
  eddy_test::write_file(dir / "config.json", "{\"hidden_size\": 1, \"hidden_size\": 2}");
  CHECK(lacks(refusal([&] { hf::read_config(dir.path()); }), {"'hidden_size' stands twice"}) == "");
  eddy_test::write_file(dir / "config.json", "{\"hidden_size\": \"\xff\"}");
  CHECK(lacks(refusal([&] { hf::read_config(dir.path()); }), {"not valid JSON"}) == "");
}
