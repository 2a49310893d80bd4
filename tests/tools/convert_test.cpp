// eddy-convert there and back: the same tensors bit for bit, in every dtype, with MTP, on several ranks, in several
// files.
#include "convert.h"

using namespace eddy;
using namespace eddy_test;
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

Json json_of(const fs::path& path) {
  return parse_json<Json>(read_file(path), path.string());
}

}  // namespace

TEST_CASE("float32, MTP with its copies included: there and back on two ranks, in several files") {
  const TempDir dir;
  const std::string in = fixture("tiny-mtp"), checkpoint = dir / "c", out = dir / "hf";
  CHECK(converts({"from-hf", "--in", in, "--out", checkpoint}, 2) == "");
  CHECK(converts({"to-hf", "--in", checkpoint, "--out", out, "--shard-size", "1MB"}, 2) == "");
  CHECK(tensors(out) == tensors(in));
  CHECK(fs::exists(dir / "hf/model-00004-of-00004.safetensors"));
  const Json index = json_of(dir / "hf/model.safetensors.index.json");
  CHECK(index["weight_map"].size() == tensors(in).size());
  const hf::Folder folder(out);
  CHECK(folder.has_mtp_copies());
  CHECK(folder.check_names().empty());
  CHECK_FALSE(fs::exists(dir / "c.tmp"));
  CHECK_FALSE(fs::exists(dir / "hf.tmp"));
  // the same checkpoint whatever the number of ranks
  CHECK(converts({"from-hf", "--in", in, "--out", dir / "one"}) == "");
  CHECK(read_file(dir / "one/data.h5") == read_file(dir / "c/data.h5"));
  CHECK(read_file(dir / "one/manifest.json") == read_file(dir / "c/manifest.json"));
}

TEST_CASE("bfloat16: rounded once, then kept; widened exactly; e_score_correction_bias stays float32") {
  const TempDir dir;
  const std::string in = fixture("tiny-mscale");
  CHECK(converts({"from-hf", "--in", in, "--out", dir / "c"}) == "");
  CHECK(converts({"to-hf", "--in", dir / "c", "--out", dir / "half", "--dtype", "bf16"}) == "");
  const Tensors full = tensors(in), half = tensors(dir / "half");
  REQUIRE(half.size() == full.size());
  int wrong = 0, biases = 0;
  for (const auto& [name, t] : full) {
    const auto& [dtype, shape, bytes] = t;
    if (name.ends_with("e_score_correction_bias")) {
      wrong += half.at(name) != t;
      ++biases;
      continue;
    }
    wrong += std::get<0>(half.at(name)) != Dtype::bf16;
    for (std::size_t i = 0; i < bytes.size() / 4; ++i) {
      float value;
      std::uint16_t bits;
      std::memcpy(&value, bytes.data() + 4 * i, 4);
      std::memcpy(&bits, std::get<2>(half.at(name)).data() + 2 * i, 2);
      wrong += bits != float_to_bf16(value);
    }
  }
  CHECK(wrong == 0);
  CHECK(biases == 2);
  CHECK(json_of(dir / "half/config.json")["torch_dtype"] == "bfloat16");
  // kept as bf16 in a checkpoint
  CHECK(converts({"from-hf", "--in", dir / "half", "--out", dir / "c2"}) == "");
  CHECK(converts({"to-hf", "--in", dir / "c2", "--out", dir / "half2"}) == "");
  CHECK(tensors(dir / "half2") == half);
  // made bf16 on the way in; made f32 on the way in, and bf16 again on the way out
  CHECK(converts({"from-hf", "--in", in, "--out", dir / "c3", "--dtype", "bf16"}, 2) == "");
  CHECK(converts({"diff", dir / "c3", dir / "c2"}) == "");
  CHECK(converts({"from-hf", "--in", dir / "half", "--out", dir / "c4", "--dtype", "f32"}) == "");
  CHECK(converts({"to-hf", "--in", dir / "c4", "--out", dir / "half4", "--dtype", "bf16"}) == "");
  CHECK(tensors(dir / "half4") == half);
}

TEST_CASE("experts of one layer in different dtypes are stacked in float32") {
  const TempDir dir;
  Tensors mixed = tensors(fixture("tiny-no-q-lora"));
  auto& [dtype, shape, bytes] = mixed.at("model.layers.1.mlp.experts.3.up_proj.weight");
  std::string half;
  for (std::size_t i = 0; i < bytes.size(); i += 4) half += bytes.substr(i + 2, 2);
  dtype = Dtype::bf16;
  bytes = half;
  write_folder(dir / "in", mixed, fixture("tiny-no-q-lora") / "config.json");
  CHECK(converts({"from-hf", "--in", dir / "in", "--out", dir / "c"}) == "");
  CHECK(converts({"to-hf", "--in", dir / "c", "--out", dir / "out"}) == "");
  CHECK(std::get<0>(tensors(dir / "out").at("model.layers.1.mlp.experts.3.up_proj.weight")) == Dtype::f32);
  CHECK(converts({"diff", dir / "in", dir / "out"}) == "");
}

TEST_CASE("config.json in the spelling asked for; companions are carried along") {
  const TempDir dir;
  fs::copy(fixture("tiny-mscale"), dir / "in");
  fs::permissions(dir / "in", fs::perms::owner_all);
  write_file(dir / "in/tokenizer.json", "{\"a\": \"tokenizer\"}");
  write_file(dir / "in/tokenizer_config.json", "{}");
  write_file(dir / "in/generation_config.json", "{\"temperature\": 0.6}");
  write_file(dir / "in/optimizer.bin", "not carried");
  CHECK(converts({"from-hf", "--in", dir / "in", "--out", dir / "c"}) == "");
  CHECK(converts({"to-hf", "--in", dir / "c", "--out", dir / "old"}) == "");
  CHECK(converts({"to-hf", "--in", dir / "c", "--out", dir / "new", "--spelling", "transformers"}) == "");
  for (const char* folder : {"old", "new"}) {
    for (const char* file : {"tokenizer.json", "tokenizer_config.json", "generation_config.json"})
      CHECK(read_file(dir / folder / file) == read_file(dir / "in" / file));
    CHECK_FALSE(fs::exists(dir / folder / "optimizer.bin"));
    const auto config = hf::read_config(dir / folder), original = hf::read_config(dir / "in");
    CHECK(config.rope_scaling == original.rope_scaling);
    CHECK(config.rope_theta == original.rope_theta);
    CHECK(config.q_lora_rank == original.q_lora_rank);
  }
  CHECK(json_of(dir / "old/config.json")["rope_scaling"]["mscale_all_dim"] == 1.3);
  CHECK(json_of(dir / "new/config.json")["rope_parameters"]["rope_type"] == "yarn");
  // where there was none, a generation_config.json is written
  CHECK(converts({"from-hf", "--in", fixture("tiny-mscale"), "--out", dir / "bare"}) == "");
  CHECK(converts({"to-hf", "--in", dir / "bare", "--out", dir / "bare-hf"}) == "");
  CHECK(json_of(dir / "bare-hf/generation_config.json")["eos_token_id"] == 1);
}

TEST_CASE("inspect, verify, diff, reshard") {
  const TempDir dir;
  const std::string in = fixture("tiny-no-q-lora"), checkpoint = dir / "c";
  CHECK(converts({"from-hf", "--in", in, "--out", checkpoint}) == "");
  const RunResult shown = convert({"inspect", checkpoint, "--json"});
  const Json json = parse_json<Json>(shown.out, "inspect");
  CHECK(json["kind"] == "checkpoint");
  CHECK(json["about"]["has_mtp"] == false);
  // embedding, head, norm; 3 × (2 norms, 5 of attention); 3 dense; 2 × (router, its bias, 3 shared, 2 stacks)
  CHECK(json["tensors"].size() == 3 + 3 * 7 + 3 + 2 * 7);
  CHECK(convert({"inspect", in}).out.find("lm_head.weight") != std::string::npos);
  CHECK(convert({"inspect", in + "/golden.safetensors"}).out.find("input_ids") != std::string::npos);

  CHECK(lacks(convert({"verify", checkpoint}).out, {"every checksum holds"}) == "");
  CHECK(lacks(convert({"verify", in}).out, {"every tensor of the model is there"}) == "");

  CHECK(converts({"reshard", "--in", checkpoint, "--out", dir / "again"}, 2) == "");
  CHECK(converts({"diff", checkpoint, dir / "again"}) == "");

  Tensors other = tensors(in);
  auto& bytes = std::get<2>(other.at("model.layers.2.mlp.experts.5.down_proj.weight"));
  float value;
  std::memcpy(&value, bytes.data() + 40, 4);
  value += 0.25f;
  std::memcpy(bytes.data() + 40, &value, 4);
  write_folder(dir / "other", other, fixture("tiny-no-q-lora") / "config.json");
  for (const std::string& first : {in, checkpoint}) {
    const RunResult r = convert({"diff", first, dir / "other"});
    CHECK(r.status == 1);
    CHECK(lacks(r.out, {"model.layers.2.mlp.experts.5.down_proj.weight", "0.25", "1 of"}) == "");
  }
  const std::string moved = "model.layers.1.input_layernorm.weight";
  other["ghost"] = other.at(moved);
  other.erase(moved);
  write_folder(dir / "other", other, fixture("tiny-no-q-lora") / "config.json");
  const RunResult r = convert({"diff", in, dir / "other", "--json"});
  CHECK(r.status == 1);
  CHECK(parse_json<Json>(r.out, "diff")["differences"].size() == 3);
}
