// A model folder: names, stacked experts read by blocks, index and files, MTP announced or not, what is missing.
#include "hf/folder.h"

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "catch.h"
#include "hf/safetensors_writer.h"
#include "refusal.h"
#include "support.h"
#include "tensor/tensor.h"

using namespace eddy;
using namespace eddy::hf;
using eddy_test::lacks;
using eddy_test::refusal;
using eddy_test::TempDir;
using Json = nlohmann::ordered_json;

namespace {

/// Two layers (one dense), 4 experts, everything small and every extent different.
Json small_config(int mtp) {
  return {{"model_type", "deepseek_v3"},
          {"vocab_size", 11},
          {"hidden_size", 6},
          {"intermediate_size", 7},
          {"moe_intermediate_size", 5},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 2},
          {"n_routed_experts", 4},
          {"n_shared_experts", 1},
          {"num_experts_per_tok", 2},
          {"n_group", 2},
          {"topk_group", 1},
          {"routed_scaling_factor", 1.5},
          {"norm_topk_prob", true},
          {"first_k_dense_replace", 1},
          {"kv_lora_rank", 3},
          {"q_lora_rank", nullptr},
          {"qk_nope_head_dim", 4},
          {"qk_rope_head_dim", 2},
          {"v_head_dim", 3},
          {"max_position_embeddings", 32},
          {"num_nextn_predict_layers", mtp}};
}

using Values = std::map<std::string, std::vector<float>>;

/// Values that bfloat16 holds exactly and that differ between tensors.
std::vector<float> values_of(const NamedShape& t) {
  std::vector<float> v(static_cast<std::size_t>(count_of(t.shape)));
  const auto start = static_cast<float>(std::hash<std::string>{}(t.name) % 97);
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = start + static_cast<float>(i % 128);
  return v;
}

struct Small {
  TempDir dir;
  ModelConfig config;
  std::vector<NamedShape> tensors;
  Values values;

  explicit Small(int announced_mtp, bool with_mtp = false, bool copies = false) {
    const Json json = small_config(announced_mtp);
    config = parse_config(json, "config.json");
    eddy_test::write_file(dir / "config.json", json.dump());
    tensors = expected_tensors(config, with_mtp, copies);
    for (const auto& t : tensors) values[t.name] = values_of(t);
    for (const char* main : {"model.embed_tokens.weight", "lm_head.weight"})
      if (copies) values[*mtp_copy_of(config, main)] = values[main];
  }
  void write(Dtype dtype = Dtype::f32, std::uint64_t shard_bytes = 1 << 30) {
    std::vector<Declared> declared;
    for (const auto& t : tensors) declared.push_back({t.name, t.always_f32 ? Dtype::f32 : dtype, t.shape});
    const ShardPlan plan = plan_shards(declared, shard_bytes);
    for (std::size_t i = 0; i < plan.shards.size(); ++i) {
      SafetensorsWriter writer(dir / plan.file_name(i), plan.shards[i]);
      for (const auto& t : plan.shards[i])
        for (const float v : values.at(t.name)) {
          const std::uint16_t half = float_to_bf16(v);
          t.dtype == Dtype::f32 ? writer.write(&v, 4) : writer.write(&half, 2);
        }
      writer.commit();
    }
    if (plan.shards.size() > 1) eddy_test::write_file(dir / "model.safetensors.index.json", plan.index());
  }
  NamedShape& tensor(const std::string& name) {
    for (auto& t : tensors)
      if (t.name == name) return t;
    throw std::runtime_error(name);
  }
};

std::vector<float> read(const Folder& folder, const std::string& name, const std::vector<std::int64_t>& shape,
                        const std::vector<std::int64_t>& begin, const std::vector<std::int64_t>& extent) {
  std::vector<float> out(static_cast<std::size_t>(count_of(extent)), -1.0f);
  folder.read({name, shape, begin, tensor::View(out.data(), Dtype::f32, tensor::Shape(extent))});
  return out;
}

const std::string kExperts = "model.layers.1.mlp.experts.";

/// Element [e, row, col] of the stacked gate_up_proj, from the tensors of the separate experts.
float gate_up(const Values& values, std::int64_t e, std::int64_t row, std::int64_t col) {
  const auto& part = values.at(kExperts + std::to_string(e) + (row < 5 ? ".gate_proj.weight" : ".up_proj.weight"));
  return part[static_cast<std::size_t>((row % 5) * 6 + col)];
}

}  // namespace

TEST_CASE("plain tensors and blocks of them, from F32 and BF16, one file and several") {
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16})
    for (const std::uint64_t shard_bytes : {std::uint64_t{1} << 30, std::uint64_t{300}}) {
      Small model(0);
      model.write(dtype, shard_bytes);
      const Folder folder(model.dir.path());
      CHECK(folder.check_names().empty());
      CHECK_FALSE(folder.has_mtp());
      CHECK(read(folder, "lm_head.weight", {11, 6}, {0, 0}, {11, 6}) == model.values["lm_head.weight"]);
      const auto& all = model.values["lm_head.weight"];
      const auto block = read(folder, "lm_head.weight", {11, 6}, {3, 2}, {2, 3});
      CHECK(block == std::vector<float>{all[20], all[21], all[22], all[26], all[27], all[28]});
      CHECK(read(folder, "model.layers.1.mlp.gate.e_score_correction_bias", {4}, {1}, {2}).size() == 2);
    }
}

TEST_CASE("stacked experts: every block of gate_up_proj and down_proj") {
  Small model(0);
  model.write();
  const Folder folder(model.dir.path());
  const std::vector<std::int64_t> shape{4, 10, 6};
  for (std::int64_t e0 = 0; e0 < 4; ++e0)
    for (std::int64_t r0 = 0; r0 < 10; r0 += 3)
      for (std::int64_t rows = 1; r0 + rows <= 10; rows += 2) {
        const std::int64_t experts = std::min<std::int64_t>(2, 4 - e0);
        const auto block = read(folder, kExperts + "gate_up_proj", shape, {e0, r0, 1}, {experts, rows, 4});
        std::vector<float> expected;
        for (std::int64_t e = e0; e < e0 + experts; ++e)
          for (std::int64_t r = r0; r < r0 + rows; ++r)
            for (std::int64_t c = 1; c < 5; ++c) expected.push_back(gate_up(model.values, e, r, c));
        CHECK(block == expected);
      }
  const auto down = read(folder, kExperts + "down_proj", {4, 6, 5}, {2, 0, 0}, {1, 6, 5});
  CHECK(down == model.values[kExperts + "2.down_proj.weight"]);
}

TEST_CASE("placements agree with reading: each tensor lies where its placement says") {
  Small model(1, true, true);
  model.write();
  const Folder folder(model.dir.path());
  CHECK(folder.has_mtp());
  CHECK(folder.has_mtp_copies());
  CHECK(folder.check_names().empty());
  for (const auto& t : model.tensors) {
    const Placement p = placement(model.config, t);
    CHECK(read(folder, p.name, p.shape, p.begin, p.extent) == model.values[t.name]);
  }
}

TEST_CASE("Eddy's tensors have the shapes that placements name") {
  Small model(1, true, true);
  std::map<std::string, std::vector<std::int64_t>> eddy;
  for (const auto& t : eddy_tensors(model.config, true)) eddy[t.name] = t.shape;
  std::map<std::string, std::int64_t> covered;
  for (const auto& t : expected_tensors(model.config, true, false)) {
    const Placement p = placement(model.config, t);
    CHECK(eddy.at(p.name) == p.shape);
    covered[p.name] += count_of(p.extent);
  }
  CHECK(covered.size() == eddy.size());
  for (const auto& [name, shape] : eddy) CHECK(covered[name] == count_of(shape));
}

TEST_CASE("an MTP layer announced but absent, and present but not announced") {
  Small absent(1);
  absent.write();
  CHECK_FALSE(Folder(absent.dir.path()).has_mtp());
  CHECK(Folder(absent.dir.path()).check_names().empty());
  Small silent(1, true);
  silent.write();
  eddy_test::write_file(silent.dir / "config.json", small_config(0).dump());
  const Folder folder(silent.dir.path());
  CHECK_FALSE(folder.has_mtp());
  CHECK(folder.check_names().size() ==
        expected_tensors(silent.config, true, false).size() - expected_tensors(silent.config, false, false).size());
}

TEST_CASE("a copy of the embedding that differs is said, and the main model's is used") {
  Small model(1, true, true);
  model.values["model.layers.2.embed_tokens.weight"][3] += 1;
  model.write();
  const Folder folder(model.dir.path());
  const std::string log_file = (model.dir / "log").string();
  log::also_to(log_file);
  CHECK(read(folder, "model.embed_tokens.weight", {11, 6}, {0, 0}, {11, 6}) ==
        model.values["model.embed_tokens.weight"]);
  read(folder, "model.embed_tokens.weight", {11, 6}, {0, 0}, {1, 6});
  read(folder, "lm_head.weight", {11, 6}, {0, 0}, {11, 6});
  log::also_to("");
  const std::string said = eddy_test::read_file(log_file);
  CHECK(lacks(said, {"model.layers.2.embed_tokens.weight", "differs"}) == "");
  CHECK(said.find("differs") == said.rfind("differs"));  // once, and nothing on the head
}

TEST_CASE("missing, misshapen and unexpected tensors") {
  Small model(0);
  model.tensor("model.norm.weight").name = "model.nrom.weight";
  model.values["model.nrom.weight"] = model.values["model.norm.weight"];
  model.write();
  CHECK(lacks(refusal([&] { Folder(model.dir.path()).check_names(); }), {"model.norm.weight", "missing"}) == "");
  Small shape(0);
  shape.tensor("lm_head.weight").shape = {6, 11};
  shape.write();
  CHECK(lacks(refusal([&] { Folder(shape.dir.path()).check_names(); }),
              {"lm_head.weight", "[6, 11]", "[11, 6]", "model.safetensors"}) == "");
  CHECK(lacks(refusal([&] {
                read(Folder(shape.dir.path()), "lm_head.weight", {11, 6}, {0, 0}, {1, 6});
              }),
              {"lm_head.weight"}) == "");
  CHECK(lacks(refusal([&] { read(Folder(shape.dir.path()), "absent", {1}, {0}, {1}); }), {"'absent' is missing"}) ==
        "");
  Small more(0);
  more.tensors.push_back({"model.layers.0.self_attn.rotary_emb.inv_freq", {1}, false});
  more.values[more.tensors.back().name] = {1};
  more.write();
  CHECK(Folder(more.dir.path()).check_names() ==
        std::vector<std::string>{"model.layers.0.self_attn.rotary_emb.inv_freq"});
}

TEST_CASE("index and files must agree") {
  Small model(0);
  model.write(Dtype::f32, 300);
  const auto index = model.dir / "model.safetensors.index.json";
  const Json good = Json::parse(eddy_test::read_file(index));
  const auto refused = [&](const Json& json) {
    eddy_test::write_file(index, json.dump());
    return refusal([&] { Folder folder(model.dir.path()); });
  };
  const auto with = [&](const std::string& tensor, const Json& file) {
    Json json = good;
    json["weight_map"][tensor] = file;
    return refused(json);
  };
  CHECK(lacks(with("lm_head.weight", "../x.safetensors"), {"index.json", "lm_head.weight", "../x.safetensors"}) == "");
  CHECK(lacks(with("lm_head.weight", "/etc/passwd"), {"/etc/passwd", "plain file name"}) == "");
  CHECK(lacks(with("lm_head.weight", 3), {"lm_head.weight"}) == "");
  CHECK(lacks(with("lm_head.weight", "model-00099-of-00099.safetensors"), {"model-00099-of-00099.safetensors"}) == "");
  CHECK(lacks(with("lm_head.weight", good["weight_map"]["model.embed_tokens.weight"]), {"lm_head.weight"}) == "");
  CHECK(lacks(with("ghost", good["weight_map"]["lm_head.weight"]), {"'ghost' is missing"}) == "");
  Json json = good;
  json["weight_map"].erase("model.norm.weight");  // others of its file are still mapped
  CHECK(lacks(refused(json), {"model.norm.weight"}) == "");
  CHECK(lacks(refused(Json::object()), {"weight_map"}) == "");
  std::filesystem::remove(index);
  CHECK(lacks(refusal([&] { Folder folder(model.dir.path()); }), {"model.safetensors"}) == "");
  CHECK(lacks(refusal([&] { Folder folder(model.dir / "none"); }), {"none"}) == "");
}
