// Bad input to eddy-convert: exit 2, the file named, nothing written and nothing lost.
#include "convert.h"

using namespace eddy;
using namespace eddy_test;
namespace fs = std::filesystem;

namespace {

/// Ends with 2, says all of `parts`, and leaves neither `out` nor a half of it.
std::string refused(std::vector<std::string> arguments, std::initializer_list<std::string> parts,
                    const fs::path& out = {}) {
  const RunResult r = convert(std::move(arguments));
  if (r.status != 2) return "status " + std::to_string(r.status) + ": " + r.err;
  if (!out.empty() && (fs::exists(out) || fs::exists(out.string() + ".tmp"))) return out.string() + " was left";
  return lacks(r.err, parts);
}

}  // namespace

TEST_CASE("arguments") {
  CHECK(refused({}, {"command"}) == "");
  CHECK(refused({"from-fh"}, {"from-fh", "from-hf"}) == "");
  CHECK(refused({"from-hf", "--in", "x"}, {"out"}) == "");
  CHECK(refused({"from-hf", "--in", "x", "--out", "y", "--dtype", "f16"}, {"dtype"}) == "");
  CHECK(refused({"to-hf", "--in", "x", "--out", "y", "--shard-size", "big"}, {"shard-size"}) == "");
  CHECK(refused({"to-hf", "--in", "x", "--out", "y", "--shard-size", "0"}, {"shard-size", "5GB"}) == "");
  CHECK(refused({"diff", "x"}, {"two"}) == "");
  for (const char* command : {"from-hf", "to-hf", "inspect", "verify", "diff", "reshard"})
    CHECK(convert({command, "--help"}).status == 0);
  CHECK(convert({"--version"}).status == 0);
}

TEST_CASE("model folders that cannot be used") {
  const TempDir dir;
  const fs::path in = dir / "in", out = dir / "out", file = in / "model.safetensors";
  const auto from = [&](std::initializer_list<std::string> parts) {
    return refused({"from-hf", "--in", in, "--out", out}, parts, out);
  };
  CHECK(from({in.string()}) == "");
  fs::copy(fixture("tiny-no-q-lora"), in);
  const std::string good = read_file(file), config = read_file(in / "config.json");
  write_file(file, good.substr(0, good.size() / 2));
  CHECK(from({"model.safetensors", "cut off"}) == "");
  std::string header = good;
  header.replace(0, 8, std::string("\0\0\0\0\0\0\0\x10", 8));
  write_file(file, header);
  CHECK(from({"model.safetensors", "header"}) == "");
  fs::remove(file);
  CHECK(from({"model.safetensors"}) == "");
  write_file(file, good);
  write_file(in / "config.json", "{\"hidden_size\": ");
  CHECK(from({"config.json"}) == "");
  for (const char* q : {"3", "[]", "{\"quant_method\": 3}", "{\"weight_block_size\": [128, 128], \"scale_fmt\": 3}"}) {
    CAPTURE(q);
    write_file(in / "config.json", "{\"quantization_config\": " + std::string(q) + "," + config.substr(1));
    CHECK(from({"config.json", "quantization_config"}) == "");
  }
  write_file(in / "config.json", "{\"quantization_config\": null," + config.substr(1));
  CHECK(converts({"from-hf", "--in", in, "--out", dir / "null"}) == "");
  std::string wider = config;
  wider.replace(wider.find("\"hidden_size\": 32"), 17, "\"hidden_size\": 33");
  write_file(in / "config.json", wider);
  CHECK(from({"model.safetensors", "shape"}) == "");
  Tensors less = tensors(fixture("tiny-no-q-lora"));
  const auto lost = less.extract("model.layers.1.mlp.experts.7.up_proj.weight");
  write_folder(in, less, fixture("tiny-no-q-lora") / "config.json");
  CHECK(from({"model.layers.1.mlp.experts.7.up_proj.weight", "missing"}) == "");
  Tensors fp8 = tensors(fixture("tiny-no-q-lora"));
  auto& [dtype, shape, bytes] = fp8.at("model.layers.1.self_attn.o_proj.weight");
  dtype = Dtype::f8e4m3;
  bytes.resize(bytes.size() / 4);
  write_folder(in, fp8, fixture("tiny-no-q-lora") / "config.json");
  CHECK(from({"model.layers.1.self_attn.o_proj.weight", "FP8"}) == "");
}

TEST_CASE("outputs that exist, or cannot be") {
  const TempDir dir;
  const std::string in = fixture("tiny-no-q-lora");
  CHECK(refused({"from-hf", "--in", in, "--out", dir / "no/such/c"}, {"no/such"}) == "");
  CHECK(converts({"from-hf", "--in", in, "--out", dir / "c"}) == "");
  CHECK(refused({"from-hf", "--in", in, "--out", dir / "c"}, {"exists", "--overwrite"}) == "");
  CHECK(converts({"from-hf", "--in", in, "--out", dir / "c", "--overwrite"}) == "");
  fs::create_directory(dir / "mine");
  write_file(dir / "mine/thesis.tex", "x");
  CHECK(refused({"from-hf", "--in", in, "--out", dir / "mine", "--overwrite"}, {"mine"}) == "");
  CHECK(refused({"to-hf", "--in", dir / "c", "--out", dir / "mine", "--overwrite"}, {"mine"}) == "");
  CHECK(refused({"reshard", "--in", dir / "c", "--out", dir / "mine", "--overwrite"}, {"mine"}) == "");
  CHECK(read_file(dir / "mine/thesis.tex") == "x");
  CHECK(converts({"to-hf", "--in", dir / "c", "--out", dir / "hf"}) == "");
  CHECK(refused({"to-hf", "--in", dir / "c", "--out", dir / "hf"}, {"exists"}) == "");
  CHECK(converts({"to-hf", "--in", dir / "c", "--out", dir / "hf/", "--overwrite"}) == "");
  CHECK(converts({"to-hf", "--in", dir / "c/", "--out", dir / "new_hf/"}) == "");
  CHECK(converts({"from-hf", "--in", dir / "new_hf/", "--out", dir / "new_c//"}) == "");
  CHECK(tensors(dir / "hf") == tensors(in));
}

TEST_CASE("neither into the input nor around it") {
  const TempDir dir;
  const fs::path in = dir / "in", c = dir / "c";
  fs::copy(fixture("tiny-no-q-lora"), in);
  REQUIRE(converts({"from-hf", "--in", in, "--out", c}) == "");
  const Tensors before = tensors(in);
  const std::string manifest = read_file(c / "manifest.json");
  fs::create_symlink(in, dir / "link");
  fs::create_symlink(dir.path(), dir / "up");
  for (const std::string& out :
       {in.string(), in.string() + "/", (in / "new").string(), (in / "x/../../in").string(), dir.path().string(),
        (dir / "link").string(), (dir / "link/new").string(), (dir / "up/in").string(), (dir / "up").string()}) {
    CAPTURE(out);
    CHECK(refused({"from-hf", "--in", in, "--out", out, "--overwrite"}, {"--out", "within each other"}) == "");
  }
  CHECK(refused({"cast", "--in", in, "--out", dir / "up/in", "--dtype", "bf16", "--overwrite"},
                {"within each other"}) == "");
  CHECK(refused({"to-hf", "--in", c, "--out", c / "hf", "--overwrite"}, {"within each other"}) == "");
  CHECK(refused({"reshard", "--in", c, "--out", dir / "up/c/", "--overwrite"}, {"within each other"}) == "");
  CHECK(tensors(in) == before);
  CHECK(read_file(c / "manifest.json") == manifest);
  CHECK(converts({"verify", c}) == "");
  CHECK(converts({"from-hf", "--in", in, "--out", dir / "in2"}) == "");  // a name that only begins alike
}

TEST_CASE("what stands where the output grows is left alone unless a broken run left it") {
  const TempDir dir;
  const std::string in = fixture("tiny-no-q-lora");
  const fs::path c = dir / "c", out = dir / "out", tmp = dir / "out.tmp";
  REQUIRE(converts({"from-hf", "--in", in, "--out", c}) == "");
  const std::vector<std::vector<std::string>> commands{
      {"from-hf", "--in", in}, {"cast", "--in", in, "--dtype", "bf16"}, {"to-hf", "--in", c}, {"reshard", "--in", c}};
  std::vector<std::string> command;
  const auto refuses = [&] { return refused(command, {tmp.string() + " stands", "move or remove it"}); };
  for (const auto& one : commands) {
    CAPTURE(one[0]);
    command = one;
    command.insert(command.end(), {"--out", out, "--overwrite"});
    fs::create_directories(tmp / "hf");
    write_file(tmp / "thesis.tex", "mine");
    CHECK(refuses() == "");
    CHECK(read_file(tmp / "thesis.tex") == "mine");
    fs::remove_all(tmp);
    CHECK_FALSE(fs::exists(out));
    // what a broken run leaves does not stand in the way
    const bool checkpoint = command[0] == "from-hf" || command[0] == "reshard";
    fs::create_directory(tmp);
    CHECK(converts(command) == "");
    fs::create_directories(tmp / "hf");
    write_file(tmp / (checkpoint ? "data.h5" : "model.safetensors.partial"), "half");
    if (!checkpoint) write_file(tmp / "eddy-unfinished", "");
    CHECK(converts(command) == "");
    CHECK_FALSE(fs::exists(tmp));
    CHECK_FALSE(fs::exists(out / "eddy-unfinished"));
    fs::remove_all(out);
  }
  for (const std::size_t i : {0u, 1u}) {  // from-hf, cast
    command = commands[i];
    command.insert(command.end(), {"--out", out});
    write_file(tmp, "mine");
    CHECK(refuses() == "");
    CHECK(read_file(tmp) == "mine");
    fs::remove(tmp);
    fs::copy(i == 0 ? c : fs::path(in), tmp, fs::copy_options::recursive);  // whole: somebody's
    CHECK(refuses() == "");
    CHECK(converts({"verify", tmp}) == (i == 0 ? "" : converts({"verify", in})));
    fs::remove_all(tmp);
    fs::create_directory(dir / "elsewhere");
    fs::create_directory_symlink(dir / "elsewhere", tmp);
    CHECK(refuses() == "");
    CHECK(fs::is_symlink(tmp));
    fs::remove(tmp);
    fs::remove(dir / "elsewhere");
  }
}

TEST_CASE("damaged checkpoints are named, and nothing is made of them") {
  const TempDir dir;
  const fs::path c = dir / "c", out = dir / "out";
  CHECK(refused({"to-hf", "--in", dir / "none", "--out", out}, {"none", "manifest.json"}, out) == "");
  CHECK(refused({"to-hf", "--in", fixture("tiny-no-q-lora"), "--out", out}, {"no Eddy checkpoint"}, out) == "");
  CHECK(converts({"from-hf", "--in", fixture("tiny-no-q-lora"), "--out", c}) == "");
  const std::string good = read_file(c / "data.h5");
  std::string bad = good;
  const std::string head = std::get<2>(tensors(fixture("tiny-no-q-lora")).at("lm_head.weight"));
  const std::size_t at = good.find(head);
  REQUIRE(at != std::string::npos);
  bad[at + 100] ^= 4;
  write_file(c / "data.h5", bad);
  CHECK(refused({"to-hf", "--in", c, "--out", out}, {"data.h5", "lm_head.weight", "damaged"}, out) == "");
  CHECK(refused({"verify", c}, {"data.h5", "lm_head.weight"}) == "");
  CHECK(refused({"reshard", "--in", c, "--out", out}, {"data.h5", "lm_head.weight"}, out) == "");
  write_file(c / "data.h5", good.substr(0, good.size() - 1));
  CHECK(refused({"inspect", c}, {"data.h5"}) == "");
}
