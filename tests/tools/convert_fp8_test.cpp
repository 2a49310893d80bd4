// FP8 folders through eddy-convert: the same bytes come back, names, index and config included.
#include "checkpoint/dequantise.h"
#include "made_model.h"
#include "tensor/tensor.h"

using namespace eddy;
using namespace eddy_test;
namespace fs = std::filesystem;

namespace {

/// What differs between two folders' tensors, index and config; empty: nothing.
std::string differences(const fs::path& a, const fs::path& b) {
  const Tensors x = tensors(a), y = tensors(b);
  std::string out;
  for (const auto& [name, t] : x)
    if (!y.count(name) || y.at(name) != t) out += name + " ";
  for (const auto& [name, t] : y)
    if (!x.count(name)) out += "+" + name + " ";
  for (const char* file : {"config.json", "model.safetensors.index.json"})
    if (nlohmann::json(json_file(a / file)) != nlohmann::json(json_file(b / file))) out += file;
  return out;
}

/// A tensor's values as DeepSeek's script makes them.
std::string dequantised(const Tensors& t, const std::string& name) {
  const auto& [dtype, shape, bytes] = t.at(name);
  const std::string& raw = std::get<2>(t.at(hf::scale_name(name)));
  std::vector<float> scales(raw.size() / 4);
  std::memcpy(scales.data(), raw.data(), raw.size());
  std::string out(2 * bytes.size(), '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto cols = static_cast<std::size_t>(shape[1]), across = (cols + 127) / 128;
    const float s = scales[i / cols / 128 * across + i % cols / 128];
    const std::uint16_t v = float_to_bf16(hf::fp8_to_float(static_cast<std::uint8_t>(bytes[i])) * s);
    std::memcpy(out.data() + 2 * i, &v, 2);
  }
  return out;
}

}  // namespace

TEST_CASE("FP8 to BF16: every value, F32 biases, no scales in the index, no quantization_config; and back") {
  const TempDir dir;
  const fs::path fp8 = dir / "fp8", bf16 = dir / "bf16", again = dir / "again";
  make_model(fp8);
  CHECK(converts({"cast", "--in", fp8, "--out", bf16, "--dtype", "bf16"}, 2) == "");
  const Tensors from = tensors(fp8), to = tensors(bf16);
  std::size_t wrong = 0, matrices = 0;
  for (const auto& [name, t] : from) {
    if (name.ends_with("_scale_inv")) {
      wrong += to.count(name);
    } else if (std::get<0>(t) == Dtype::f8e4m3) {
      ++matrices;
      wrong += std::get<0>(to.at(name)) != Dtype::bf16 || std::get<2>(to.at(name)) != dequantised(from, name);
    } else {
      wrong += to.at(name) != t;
    }
  }
  CHECK(wrong == 0);
  CHECK(matrices == 4 * 5 + 3 + 3 * 3 * 9);  // attention; a dense layer; shared and routed experts
  CHECK_FALSE(json_file(bf16 / "config.json").contains("quantization_config"));
  CHECK_FALSE(json_file(bf16 / "model.safetensors.index.json").dump().find("scale_inv") != std::string::npos);
  CHECK(convert({"verify", bf16}).status == 0);
  CHECK(convert({"diff", fp8, bf16}).status == 0);
  CHECK(converts({"cast", "--in", bf16, "--out", again, "--dtype", "fp8"}) == "");
  CHECK(differences(fp8, again) == "");
  CHECK(convert({"verify", again}).status == 0);
}

TEST_CASE("FP8 through checkpoints: kept, and by way of BF16 and float32") {
  const TempDir dir;
  const fs::path fp8 = dir / "fp8";
  make_model(fp8);
  write_file(fp8 / "tokenizer.json", "{}");
  for (const char* dtype : {"keep", "bf16", "f32"}) {
    const fs::path c = dir / (std::string("c-") + dtype), out = dir / (std::string("out-") + dtype);
    CHECK(converts({"from-hf", "--in", fp8, "--out", c, "--dtype", dtype}, 2) == "");
    CHECK(convert({"verify", c}).status == 0);
    CHECK(converts({"to-hf", "--in", c, "--out", out, "--dtype", std::string(dtype) == "keep" ? "keep" : "fp8"}, 2) ==
          "");
    CHECK(differences(fp8, out) == "");
    CHECK(fs::exists(out / "tokenizer.json"));
    CHECK(fs::exists(out / "README.md"));
  }
  // BF16 from a checkpoint keeps the scales as well
  CHECK(converts({"to-hf", "--in", dir / "c-keep", "--out", dir / "b", "--dtype", "bf16"}) == "");
  CHECK(converts({"cast", "--in", fp8, "--out", dir / "b2", "--dtype", "bf16"}) == "");
  CHECK(tensors(dir / "b") == tensors(dir / "b2"));
  CHECK(converts({"from-hf", "--in", dir / "b", "--out", dir / "c-b"}) == "");
  CHECK(converts({"to-hf", "--in", dir / "c-b", "--out", dir / "b3", "--dtype", "fp8"}) == "");
  CHECK(differences(fp8, dir / "b3") == "");
  // shards of a chosen size: other files, the same tensors
  CHECK(converts({"to-hf", "--in", dir / "c-keep", "--out", dir / "small", "--shard-size", "100000"}) == "");
  CHECK(tensors(dir / "small") == tensors(fp8));
  CHECK(json_file(dir / "small/model.safetensors.index.json")["metadata"] ==
        json_file(fp8 / "model.safetensors.index.json")["metadata"]);
}

TEST_CASE("blocks of FP8 folders and checkpoints are read as float32 alike, from anywhere within a tensor") {
  const TempDir dir;
  make_model(dir / "fp8");
  CHECK(converts({"from-hf", "--in", dir / "fp8", "--out", dir / "c"}) == "");
  CHECK(converts({"cast", "--in", dir / "fp8", "--out", dir / "bf16", "--dtype", "bf16"}) == "");
  const hf::Folder fp8(dir / "fp8"), bf16(dir / "bf16");
  const checkpoint::Checkpoint saved(dir / "c");
  for (const auto& t : hf::eddy_tensors(fp8.config(), true)) {
    std::vector<std::int64_t> begin, extent;
    for (const std::int64_t n : t.shape) {
      begin.push_back(n / 3);
      extent.push_back(n - n / 3 - n / 5);
    }
    const tensor::Tensor a(tensor::Shape(extent), Dtype::f32), b(tensor::Shape(extent), Dtype::f32),
        c(tensor::Shape(extent), Dtype::f32);
    fp8.read({t.name, t.shape, begin, a.view()});
    bf16.read({t.name, t.shape, begin, b.view()});
    if (saved.entry("model/" + t.name).dtype == Dtype::f8e4m3)
      checkpoint::read_dequantised(saved, {"model/" + t.name, t.shape, begin, c.view()});
    else
      saved.read({"model/" + t.name, t.shape, begin, c.view()});
    INFO(t.name);
    CHECK(std::memcmp(a.view().data, b.view().data, b.view().bytes()) == 0);
    CHECK(std::memcmp(c.view().data, b.view().data, b.view().bytes()) == 0);
  }
}

TEST_CASE(
    "a weight that was trained gets a new scale in its block, the other blocks their bytes; without the kept scales "
    "all get new ones") {
  const TempDir dir;
  const fs::path fp8 = dir / "fp8", bf16 = dir / "bf16";
  make_model(fp8);
  CHECK(converts({"cast", "--in", fp8, "--out", bf16, "--dtype", "bf16"}) == "");
  const std::string name = "model.layers.0.mlp.gate_proj.weight", scales = hf::scale_name(name);  // [288, 160]: 3 x 2
  edit_file(bf16, name, [&](Tensors& t) { std::get<2>(t.at(name)).replace(2 * (130 * 160 + 3), 2, "\x80\x3f", 2); });
  CHECK(convert({"verify", bf16}).status == 1);  // its file is not the one that was written
  fs::remove(bf16 / "eddy-files.json");
  CHECK(converts({"cast", "--in", bf16, "--out", dir / "out", "--dtype", "fp8"}) == "");
  const Tensors before = tensors(fp8), after = tensors(dir / "out");
  for (const auto& [key, t] : before)
    if (key != name && key != scales) CHECK((after.at(key) == t));
  const std::string &was = std::get<2>(before.at(scales)), &is = std::get<2>(after.at(scales));
  for (std::size_t b = 0; b < 6; ++b) CHECK((was.substr(4 * b, 4) == is.substr(4 * b, 4)) == (b != 2));
  float scale;
  std::memcpy(&scale, is.data() + 8, 4);
  CHECK(scale == 1.0f / 448);
  fs::remove(bf16 / hf::kScalesFile);
  CHECK(converts({"cast", "--in", bf16, "--out", dir / "new", "--dtype", "fp8"}) == "");
  CHECK(json_file(dir / "new/config.json")["quantization_config"] ==
        json_file(fp8 / "config.json")["quantization_config"]);
  CHECK(std::get<2>(tensors(dir / "new").at(scales)) != was);
}

TEST_CASE("what another run left unfinished is no part of the result") {
  const TempDir dir;
  const fs::path out = dir / "out";
  make_model(dir / "fp8");
  fs::create_directories(dir / "out.tmp/model-00006-of-000007.safetensors.partial/x");
  write_file(dir / "out.tmp/eddy-unfinished", "");
  write_file(dir / "out.tmp/model-00001-of-000007.safetensors", "half of something");
  write_file(dir / "out.tmp/model-00001-of-000007.safetensors.done", "{\"plan\": \"0\", \"bytes\": 17}");
  CHECK(converts({"cast", "--in", dir / "fp8", "--out", out, "--dtype", "bf16"}) == "");
  CHECK(convert({"verify", out}).status == 0);
  for (const auto& entry : fs::directory_iterator(out)) CHECK(entry.path().extension() != ".done");
}

TEST_CASE("the golden FP8 model") {
  const fs::path golden = material().empty() ? fs::path() : material().parent_path() / "golden/tiny-fp8";
  if (golden.empty() || !fs::exists(golden)) return skip("EDDY_MATERIAL/../golden/tiny-fp8 is not there");
  const TempDir dir;
  CHECK(converts({"cast", "--in", golden, "--out", dir / "bf16", "--dtype", "bf16"}) == "");
  const hf::SafetensorsFile truth(golden / "dequantised.safetensors");
  const Tensors made = tensors(dir / "bf16");
  REQUIRE(made.size() == truth.tensors().size());
  for (const auto& [name, t] : truth.tensors())
    CHECK(std::get<2>(made.at(name)) == std::string(reinterpret_cast<const char*>(t.bytes.data()), t.bytes.size()));
  CHECK(converts({"from-hf", "--in", golden, "--out", dir / "c"}) == "");
  CHECK(converts({"to-hf", "--in", dir / "c", "--out", dir / "back"}) == "");
  CHECK(differences(golden, dir / "back") == "");
  CHECK(converts({"cast", "--in", dir / "bf16", "--out", dir / "again", "--dtype", "fp8"}) == "");
  CHECK(differences(golden, dir / "again") == "");
}
