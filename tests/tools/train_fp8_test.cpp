// FP8 models in the other programs: training, eddy-verify and eddy-chat begin with the values that the dequantised
// folder holds, bit for bit, in every layout; what was trained is exported as the model came.
#include <set>

#include "../train/run.h"
#include "made_model.h"

using namespace eddy;
using namespace eddy_test;
namespace fs = std::filesystem;

namespace {

/// One model as FP8 folder, BF16 folder, float32 folder, and FP8 checkpoint.
struct Forms {
  TempDir dir;
  fs::path fp8 = dir / "fp8", bf16 = dir / "bf16", f32 = dir / "f32", checkpoint = dir / "c";
  void make() const {
    CHECK(converts({"cast", "--in", fp8, "--out", bf16, "--dtype", "bf16"}) == "");
    CHECK(converts({"cast", "--in", fp8, "--out", f32, "--dtype", "f32"}) == "");
    CHECK(converts({"from-hf", "--in", fp8, "--out", checkpoint}) == "");
  }
};

struct Trained {
  Run run;
  fs::path last;
  Trained(const fs::path& init, const std::string& steps, int ranks, std::vector<std::string> more) {
    for (const char* option : {"--model.config=", "--train.mtp=on"}) more.push_back(option);
    more.push_back("--model.init=" + init.string());
    more.push_back("--train.steps=" + steps);
    more.push_back("--train.seq_len=32");
    const RunResult r = run.start(more, ranks);
    INFO(r.err);
    REQUIRE(r.status == 0);
    last = run.dir / "checkpoints" / run.checkpoints().back();
  }
  std::vector<double> losses() const {
    std::vector<double> out;
    for (const auto& line : run.metrics()) {
      out.push_back(line.at("loss"));
      out.push_back(line.at("mtp_loss"));
    }
    return out;
  }
};

std::set<std::string> names(const Tensors& tensors) {
  std::set<std::string> out;
  for (const auto& [name, t] : tensors) out.insert(name);
  return out;
}

}  // namespace

TEST_CASE("training from FP8 begins with the dequantised values, in every layout") {
  Forms m;
  make_model(m.fp8);
  m.make();
  using Layout = std::pair<int, std::vector<std::string>>;
  for (const auto& [ranks, layout] : {Layout{0, {}}, Layout{2, {"--parallel.tp=2", "--parallel.ep=2"}},
                                      Layout{4, {"--parallel.pp=2", "--parallel.tp=2", "--parallel.ep=2"}}}) {
    const Trained reference(m.f32, "2", ranks, layout);
    CHECK(reference.losses().size() == 4);
    CHECK(reference.losses()[0] > 4);  // the made model knows nothing of the data: about log 200
    for (const fs::path& init : {m.fp8, m.bf16, m.checkpoint}) {
      CAPTURE(ranks, init.string());
      const Trained other(init, "2", ranks, layout);
      CHECK(other.losses() == reference.losses());
      CHECK(contents(other.last) == contents(reference.last));
    }
  }
}

TEST_CASE("trained five steps and exported: names, index and configuration are those of the model it came from") {
  Forms m;
  make_model(m.fp8);
  const Trained t(m.fp8, "5", 2, {"--parallel.ep=2", "--checkpoint.every=4"});
  const RunResult sound = convert({"verify", t.last});
  INFO(sound.out + sound.err);
  CHECK(sound.status == 0);
  for (const std::string dtype : {"fp8", "bf16"}) {
    const fs::path out = m.dir / ("out-" + dtype), cast = m.dir / ("cast-" + dtype);
    CAPTURE(dtype);
    CHECK(converts({"to-hf", "--in", t.last, "--out", out, "--dtype", dtype}) == "");
    fs::path like = m.fp8;
    if (dtype == "bf16") {
      CHECK(converts({"cast", "--in", m.fp8, "--out", cast, "--dtype", dtype}) == "");
      like = cast;
    }
    const Tensors is = tensors(out), was = tensors(like);
    CHECK(names(is) == names(was));
    std::size_t wrong = 0, changed = 0;
    for (const auto& [name, tensor] : was) {
      wrong += std::get<0>(is.at(name)) != std::get<0>(tensor) || std::get<1>(is.at(name)) != std::get<1>(tensor);
      changed += is.at(name) != tensor;
    }
    CHECK(wrong == 0);
    CHECK(changed > was.size() / 2);
    for (const char* file : {"config.json", "model.safetensors.index.json"})
      CHECK(nlohmann::json(json_file(out / file)) == nlohmann::json(json_file(like / file)));
    const RunResult r = convert({"verify", out});
    INFO(r.out + r.err);
    CHECK(r.status == 0);
  }
}

TEST_CASE("blocks that training left as they were come back byte for byte") {
  Forms m;
  make_model(m.fp8);
  m.make();
  const Tensors was = tensors(m.fp8);
  for (const fs::path& init : {m.fp8, m.bf16, m.checkpoint}) {
    CAPTURE(init.string());
    const Trained t(init, "2", 2, {"--optim.lr=0", "--parallel.tp=2"});
    // and through a second start of the run, and a run that begins with this one's checkpoint
    const RunResult again = t.run.start(
        {"--model.config=", "--model.init=" + init.string(), "--train.steps=3", "--train.seq_len=32", "--optim.lr=0"});
    INFO(again.err);
    REQUIRE(again.status == 0);
    const Trained second(t.run.dir / "checkpoints/step-00000003", "1", 0, {"--optim.lr=0"});
    const fs::path out = m.dir / ("out-" + init.filename().string());
    CHECK(converts({"to-hf", "--in", second.last, "--out", out, "--dtype", "fp8"}) == "");
    const Tensors is = tensors(out);
    CHECK(names(is) == names(was));
    std::size_t matrices = 0, wrong = 0;
    for (const auto& [name, tensor] : was)
      if (std::get<0>(tensor) == Dtype::f8e4m3) {
        ++matrices;
        wrong += is.at(name) != tensor || is.at(hf::scale_name(name)) != was.at(hf::scale_name(name));
      }
    CHECK(matrices > 100);
    CHECK(wrong == 0);
    const RunResult r = convert({"verify", second.last});
    INFO(r.out + r.err);
    CHECK(r.status == 0);
  }
}

TEST_CASE("eddy-verify and eddy-chat on FP8 compute what they do on the dequantised model") {
  Forms m;
  CHECK(converts({"cast", "--in", fixture("tiny"), "--out", m.fp8, "--dtype", "fp8"}) == "");
  m.make();
  using Layout = std::pair<int, std::vector<std::string>>;
  for (const auto& [ranks, layout] : {Layout{0, {}}, Layout{2, {"--parallel.tp=2", "--parallel.ep=2"}},
                                      Layout{4, {"--parallel.pp=2", "--parallel.ep=2"}}}) {
    const auto verify = [&, ranks = ranks, layout = layout](const fs::path& model) {
      // FP8 is another model than the golden one: how far from it must agree to the last digit
      std::vector<std::string> argv{
          "eddy-verify", "--model",        model, "--golden", fixture("tiny") / "golden.safetensors",
          "--json",      "--run.threads=1"};
      argv.insert(argv.end(), layout.begin(), layout.end());
      const RunResult r = run(argv, ranks);
      INFO(r.err);
      CHECK(r.status == 1);
      const auto json = parse_json<nlohmann::json>(r.out, "eddy-verify");
      CHECK(json["comparisons"][0]["error"] > 1e-6);
      CHECK(json["comparisons"][0]["error"] < 0.02);
      return json;
    };
    const auto chat = [&, ranks = ranks, layout = layout](const fs::path& model) {
      std::vector<std::string> argv{"eddy-chat", "--model",      model, "--prompt-ids", "5,3,200,17",
                                    "--greedy",  "--max-tokens", "12",  "--json",       "--run.threads=1"};
      argv.insert(argv.end(), layout.begin(), layout.end());
      const RunResult r = run(argv, ranks);
      INFO(r.err);
      CHECK(r.status == 0);
      return parse_json<nlohmann::json>(r.out, "eddy-chat")["ids"];
    };
    const auto reference = verify(m.f32);
    const auto answer = chat(m.f32);
    CHECK(answer.size() == 12);
    for (const fs::path& model : {m.fp8, m.checkpoint}) {
      CAPTURE(ranks, model.string());
      CHECK(verify(model) == reference);
      CHECK(chat(model) == answer);
    }
  }
}
