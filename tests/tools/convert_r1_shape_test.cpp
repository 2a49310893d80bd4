// The shape of R1 in small: 61 + 1 layers, 256 experts, the published names, 163 files; FP8 to BF16 and back, and
// through an Eddy checkpoint, in under two minutes. SLOW; the short form has all kinds of tensors in fewer layers.
#include <chrono>

#include "made_model.h"

using namespace eddy_test;
namespace fs = std::filesystem;

namespace {

void both_ways(const MadeShape& shape) {
  using Clock = std::chrono::steady_clock;
  const TempDir dir;
  const fs::path fp8 = dir / "fp8";
  make_model(fp8, shape);
  const auto start = Clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  const auto step = [&](std::vector<std::string> arguments) {
    const std::string what = arguments.front();
    arguments.insert(arguments.begin(), "eddy-convert");
    const RunResult r = run(std::move(arguments), 0, 300);
    INFO(r.err);
    CHECK(r.status == 0);
    std::printf("%s done after %.1f s\n", what.c_str(), seconds());
  };
  step({"cast", "--in", fp8, "--out", dir / "bf16", "--dtype", "bf16", "--threads", "2"});
  step({"cast", "--in", dir / "bf16", "--out", dir / "again", "--dtype", "fp8", "--threads", "2"});
  step({"from-hf", "--in", fp8, "--out", dir / "c"});
  step({"to-hf", "--in", dir / "c", "--out", dir / "back", "--threads", "2"});
  CHECK(seconds() < 120);
  step({"verify", dir / "back", "--threads", "2"});
  const Tensors original = tensors(fp8);
  CHECK(tensors(dir / "again") == original);
  CHECK(tensors(dir / "back") == original);
  for (const char* made : {"again", "back"})
    CHECK(json_file(dir / made / "model.safetensors.index.json") == json_file(fp8 / "model.safetensors.index.json"));
  int files = 0;
  for (const auto& entry : fs::directory_iterator(dir / "back")) files += entry.path().extension() == ".safetensors";
  CHECK(files == shape.files);
}

}  // namespace

#ifdef EDDY_SHORT
TEST_CASE("R1's shape, shortened") {
  both_ways({.layers = 6, .dense = 3, .experts = 16, .groups = 8, .files = 11, .hidden = 96, .width = 48});
}
#else
TEST_CASE("R1's shape: 61 + 1 layers, 256 experts, 163 files") {
  both_ways({.layers = 61, .dense = 3, .experts = 256, .groups = 8, .files = 163, .hidden = 96, .width = 48});
}
#endif
