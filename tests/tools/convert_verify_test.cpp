// Each audit of eddy-convert verify finds the defect planted for it, names it, and ends with 1; without one it is
// quiet.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <random>

#include "made_model.h"

using namespace eddy;
using namespace eddy_test;
namespace fs = std::filesystem;

namespace {

const std::string kLayer = "model.layers.1.mlp.";

std::string expert(int e, const std::string& kind) {
  return kLayer + "experts." + std::to_string(e) + "." + kind + ".weight";
}

/// Ends with 1, having said all of `parts`.
std::string finds(const std::vector<std::string>& arguments, std::initializer_list<std::string> parts) {
  std::vector<std::string> all{"verify"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  const RunResult r = convert(all);
  if (r.status != 1) return "status " + std::to_string(r.status) + ": " + r.out + r.err;
  return lacks(r.out, parts);
}

/// A made folder with one edit in the file that holds `name`.
struct Planted {
  TempDir dir;
  fs::path folder;
  Planted() : folder(dir / "m") { make_model(folder, {.files = 1}); }
  void edit(const std::string& name, const std::function<void(Tensors&)>& change) { edit_file(folder, name, change); }
};

template <class T>
void set(std::string& bytes, std::size_t i, T value) {
  std::memcpy(bytes.data() + i * sizeof value, &value, sizeof value);
}

void swap_scaled(Tensors& t, const std::string& a, const std::string& b) {
  std::swap(t.at(a), t.at(b));
  std::swap(t.at(hf::scale_name(a)), t.at(hf::scale_name(b)));
}

}  // namespace

TEST_CASE("a checkpoint is read once") {
  const TempDir dir;
  const fs::path folder = dir / "m", c = dir / "c";
  make_model(folder, {.layers = 2, .experts = 4, .groups = 2, .files = 1, .hidden = 1024, .width = 1024});
  REQUIRE(converts({"from-hf", "--in", folder, "--out", c, "--dtype", "bf16"}) == "");
  fs::remove_all(folder);
  std::uint64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(c))
    bytes += entry.is_regular_file() ? entry.file_size() : 0;
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string program = std::string(std::getenv("EDDY_BIN_DIR")) + "/eddy-convert";
    ::execl(program.c_str(), program.c_str(), "verify", c.c_str(), "--threads", "1", nullptr);
    ::_exit(127);
  }
  siginfo_t ended{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT) == 0);
  // what the process has read by system calls, which the system keeps until it is waited for
  std::ifstream io("/proc/" + std::to_string(child) + "/io");
  std::string key;
  std::uint64_t read = 0;
  io >> key >> read;
  ::waitpid(child, nullptr, 0);
  CHECK(ended.si_status == 0);
  CHECK(bytes > 50'000'000);
  if (key != "rchar:") return;  // the system does not tell
  CHECK(read >= bytes);
  CHECK(static_cast<double>(read) < 1.3 * static_cast<double>(bytes));
}

TEST_CASE("a sound folder, and its statistics") {
  const Planted m;
  const RunResult r = convert({"verify", m.folder});
  INFO(r.out + r.err);
  CHECK(r.status == 0);
  const auto json = parse_json<nlohmann::json>(convert({"inspect", m.folder, "--stats", "--json"}).out, "inspect");
  int seen = 0;
  for (const auto& t : json["tensors"]) {
    const auto& s = t["statistics"];
    if (t["name"] == expert(3, "up_proj")) {
      ++seen;
      CHECK(s["std"].get<double>() == approx(110 * 4e-4).epsilon(0.25));
      CHECK(s["fp8_scales"]["median"].get<double>() == approx(4e-4).epsilon(0.5));
    }
    if (t["name"] == "model.norm.weight") {
      ++seen;
      CHECK(s["mean"].get<double>() == approx(1).epsilon(0.05));
      CHECK(s["norm"].get<double>() == approx(std::sqrt(160.0)).epsilon(0.05));
    }
  }
  CHECK(seen == 2);
}

TEST_CASE("defects in one folder's values") {
  const std::string bias = kLayer + "gate.e_score_correction_bias", norm = "model.layers.0.input_layernorm.weight";
  struct Case {
    std::string tensor;
    std::function<void(Tensors&)> change;
    std::string says;
  };
  const std::vector<Case> cases{
      {expert(2, "up_proj"),
       [](Tensors& t) {
         t[expert(2, "up_proj")] = t[expert(1, "up_proj")];
         t[hf::scale_name(expert(2, "up_proj"))] = t[hf::scale_name(expert(1, "up_proj"))];
       },
       "the same values"},
      {bias, [&](Tensors& t) { std::get<2>(t[bias]).assign(8 * 4, '\0'); }, "all zero"},
      {bias,
       [&](Tensors& t) {
         for (std::size_t i = 0; i < 8; ++i) set(std::get<2>(t[bias]), i, 90.0f * (i % 2 ? 1 : -1));
       },
       "another scale"},
      {bias,
       [&](Tensors& t) {
         auto& [dtype, shape, bytes] = t[bias];
         dtype = Dtype::bf16;
         std::string half;
         for (std::size_t i = 0; i < bytes.size(); i += 4) half += bytes.substr(i + 2, 2);
         bytes = half;
       },
       "too coarse"},
      {norm, [&](Tensors& t) { set(std::get<2>(t[norm]), 5, std::uint16_t{0x7fc0}); }, "1 NaN"},
      {norm,
       [&](Tensors& t) {
         for (std::size_t i = 0; i < 160; ++i) set(std::get<2>(t[norm]), i, std::uint16_t{0x3f80});
       },
       "every value is 1"},
      {"lm_head.weight", [](Tensors& t) { std::get<2>(t["lm_head.weight"]).replace(0, 30000, 30000, '\0'); },
       "are zero"},
      {expert(4, "down_proj"),
       [](Tensors& t) {
         std::get<2>(t[hf::scale_name(expert(4, "down_proj"))]) = std::string("\0\0\x80\x42\0\0\x80\x42", 8);
       },
       "not scaled as it should be"},
      {expert(4, "down_proj"),
       [](Tensors& t) {
         for (char& c : std::get<2>(t[expert(4, "down_proj")])) c = static_cast<char>((c & 0x80) | 0x31);
       },
       "another tensor's"},
      {"model.layers.0.mlp.up_proj.weight_scale_inv",
       [](Tensors& t) {
         std::get<2>(t["model.layers.0.mlp.up_proj.weight_scale_inv"]) =
             std::get<2>(t["model.layers.0.mlp.gate_proj.weight_scale_inv"]);
       },
       "the same values"},
      {expert(6, "gate_proj"),
       [](Tensors& t) {
         t.erase(expert(6, "gate_proj"));
         t.erase(hf::scale_name(expert(6, "gate_proj")));
       },
       "is missing"},
      {"model.layers.3.enorm.weight",
       [](Tensors& t) { std::erase_if(t, [](const auto& e) { return e.first.starts_with("model.layers.3."); }); },
       "multi-token-prediction layer (model.layers.3.*)"},
  };
  for (const Case& c : cases) {
    Planted m;
    fs::remove(m.folder / "model.safetensors.index.json");
    fs::rename(m.folder / "model-00001-of-000001.safetensors", m.folder / "model.safetensors");
    m.edit(c.tensor, c.change);
    INFO(c.tensor + ": " + c.says);
    const bool mtp = c.says.starts_with("multi");
    CHECK(finds({m.folder}, {mtp ? "missing" : c.tensor, c.says}) == "");
  }
}

TEST_CASE("a matrix left at its first values") {
  Planted m;
  CHECK(converts({"cast", "--in", m.folder, "--out", m.dir / "b", "--dtype", "bf16"}) == "");
  fs::remove(m.dir / "b/eddy-files.json");
  const std::string name = "model.layers.2.self_attn.o_proj.weight";  // 160 x 32
  edit_file(m.dir / "b", name, [&](Tensors& t) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0, 0.02f);
    auto& bytes = std::get<2>(t.at(name));
    for (std::size_t i = 0; i < bytes.size() / 2; ++i) set(bytes, i, float_to_bf16(normal(random)));
  });
  CHECK(finds({m.dir / "b"}, {name, "first values"}) == "");
}

TEST_CASE("beside the model it came from: exchanged experts and scales") {
  Planted m;
  fs::copy(m.folder, m.dir / "ref");
  m.edit(expert(2, "up_proj"), [](Tensors& t) { swap_scaled(t, expert(2, "up_proj"), expert(5, "up_proj")); });
  CHECK(convert({"verify", m.folder}).status == 0);  // nothing in it says which expert is which
  CHECK(finds({m.folder, "--against", m.dir / "ref"},
              {"'" + expert(2, "up_proj") + "' is far", "it holds what '" + expert(5, "up_proj")}) == "");
  const std::string name = hf::scale_name("model.layers.2.self_attn.q_b_proj.weight");
  Planted other;
  other.edit(name, [&](Tensors& t) { std::get<2>(t.at(name)) = std::string("\0\0\x80\x3a", 4); });
  CHECK(finds({other.folder, "--against", m.dir / "ref"}, {"q_b_proj", "far from the reference"}) == "");
  CHECK(convert({"verify", m.dir / "ref", "--against", m.dir / "ref"}).status == 0);
}

TEST_CASE("files altered after they were written, kept scales damaged") {
  Planted m;
  const fs::path b = m.dir / "b";
  CHECK(converts({"cast", "--in", m.folder, "--out", b, "--dtype", "bf16"}) == "");
  const fs::path file = b / "model-00001-of-000001.safetensors";
  const std::string good = read_file(file);
  std::string bad = good;
  bad[bad.size() - 9] ^= 1;
  write_file(file, bad);
  CHECK(finds({b}, {file.string(), "altered"}) == "");
  write_file(file, good);
  write_file(b / "model-00007-of-000009.safetensors", "of another conversion");
  const RunResult stray = convert({"verify", b});
  CHECK(stray.status == 0);
  CHECK(lacks(stray.err, {"model-00007-of-000009.safetensors", "no tensor of the model"}) == "");
  fs::remove(b / "model-00007-of-000009.safetensors");
  std::string scales = read_file(b / hf::kScalesFile);
  scales[scales.size() - 2] ^= 1;
  write_file(b / hf::kScalesFile, scales);
  const RunResult r = convert({"verify", b});
  CHECK(r.status == 2);
  CHECK(lacks(r.err, {hf::kScalesFile, "damaged"}) == "");
}
