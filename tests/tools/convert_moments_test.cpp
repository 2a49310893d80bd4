// eddy-convert verify on a training run's checkpoints: each defect of the optimizer's moments, and of the model within
// a checkpoint, planted and found.
#include <functional>

#include "../model/tiny_model.h"
#include "../train/run.h"
#include "convert.h"
#include "tensor/tensor.h"

using namespace eddy;
using namespace eddy_test;
namespace fs = std::filesystem;

namespace {

using State = std::map<std::string, std::vector<float>>;

const std::string kMatrix = "model.layers.1.self_attn.o_proj.weight", kNorm = "model.norm.weight",
                  kBias = "model.layers.1.mlp.gate.e_score_correction_bias",
                  kExperts = "model.layers.1.mlp.experts.gate_up_proj";

/// Checkpoints of steps 2, 4 and 6 of a run.
struct Steps {
  Run run;
  Steps() {
    const RunResult r = run.start({"--train.steps=6", "--checkpoint.every=2", "--checkpoint.keep=9",
                                   "--train.router_bias_rate=0.01", "--optim.lr=1e-5"});
    INFO(r.err);
    REQUIRE(r.status == 0);
  }
  fs::path path(int step) const { return run.dir / "checkpoints" / fmt::format("step-{:08}", step); }
};

/// Writes the checkpoint `to` with what `from` holds after `change`; its manifest's meta after `meta`.
void rewrite(const fs::path& from, const fs::path& to, const std::function<void(State&)>& change,
             const std::function<void(nlohmann::json&)>& meta = {}) {
  State state = contents(from);
  std::map<std::string, std::vector<std::int64_t>> shapes;
  nlohmann::json says;
  {
    const checkpoint::Checkpoint c(from);
    says = c.meta();
    for (const auto& t : c.tensors()) shapes[t.name] = t.shape;
  }
  change(state);
  if (meta) meta(says);
  std::vector<tensor::Slice> owned;
  for (auto& [name, values] : state) {
    std::vector<std::int64_t> shape = shapes.at(name);
    std::int64_t n = 1;
    for (const auto d : shape) n *= d;
    if (n != static_cast<std::int64_t>(values.size())) shape = {static_cast<std::int64_t>(values.size())};
    owned.push_back({name, shape, std::vector<std::int64_t>(shape.size(), 0),
                     tensor::View(values.data(), Dtype::f32, tensor::Shape(shape))});
  }
  checkpoint::save(session().world(), to, says, owned);
}

std::string finds(const fs::path& path, std::initializer_list<std::string> parts,
                  const std::vector<std::string>& more = {}) {
  std::vector<std::string> all{"verify", path};
  all.insert(all.end(), more.begin(), more.end());
  const RunResult r = convert(all);
  if (r.status != 1) return "status " + std::to_string(r.status) + ": " + r.out + r.err;
  return lacks(r.out, parts);
}

}  // namespace

TEST_CASE("a training run's checkpoints: sound ones pass, each planted defect is found and named") {
  const Steps s;
  for (const int step : {2, 4, 6}) {
    const RunResult r = convert({"verify", s.path(step)});
    INFO(r.out + r.err);
    CHECK(r.status == 0);
  }
  const State early = contents(s.path(2)), before = contents(s.path(4));
  struct Case {
    std::function<void(State&)> change;
    std::string names, says;
  };
  const auto moments = [](const std::string& name) { return name.starts_with("optim."); };
  const std::vector<Case> cases{
      // stale: those of the checkpoint before, in one tensor or in all, first or second
      {[&](State& t) { t["optim.m/" + kMatrix] = before.at("optim.m/" + kMatrix); }, "optim.m/" + kMatrix,
       "the same as in step-00000004, 2 updates ago"},
      {[&](State& t) { t["optim.v/" + kNorm] = before.at("optim.v/" + kNorm); }, "optim.v/" + kNorm,
       "the same as in step-00000004"},
      {[&](State& t) {
         for (auto& [name, values] : t)
           if (moments(name)) values = before.at(name);
       },
       "optim.m/" + kExperts, "the same as in step-00000004"},
      // of two steps before the one before: no checkpoint of the pair has them
      {[&](State& t) {
         for (auto& [name, values] : t)
           if (moments(name)) values = early.at(name);
       },
       "optim.m/" + kMatrix, "the same as in step-00000002"},
      // missing, all or one; zero; of another shape
      {[&](State& t) { std::erase_if(t, [&](const auto& e) { return moments(e.first); }); }, "moments",
       "the run cannot go on"},
      {[&](State& t) { t.erase("optim.v/" + kExperts); }, "optim.v/" + kExperts, "is missing"},
      {[&](State& t) { t["optim.v/" + kNorm].assign(t["optim.v/" + kNorm].size(), 0); }, "optim.v/" + kNorm,
       "all zero after 6 updates"},
      {[&](State& t) { t["optim.m/" + kMatrix].assign(t["optim.m/" + kMatrix].size(), 0); }, "optim.m/" + kMatrix,
       "all zero after 6 updates"},
      {[&](State& t) { t["optim.m/" + kMatrix].pop_back(); }, "optim.m/" + kMatrix, "another shape"},
      // beyond what second moments allow, negative, no number
      {[&](State& t) { t["optim.m/" + kMatrix][7] = 100 * std::sqrt(t["optim.v/" + kMatrix][7]) + 1; },
       "optim.m/" + kMatrix, "1 first moments are larger"},
      {[&](State& t) { t["optim.v/" + kMatrix][7] = -1e-3f; }, "optim.v/" + kMatrix, "1 second moments are negative"},
      {[&](State& t) { t["optim.m/" + kMatrix][7] = std::nanf(""); }, "optim.m/" + kMatrix, "no numbers"},
      // the model's own tensors within a checkpoint
      {[&](State& t) { t["model/" + kBias].assign(t["model/" + kBias].size(), 0); }, kBias, "all zero"},
      {[&](State& t) {
         auto& e = t["model/" + kExperts];
         const std::size_t n = e.size() / 16;  // one expert of sixteen
         std::copy_n(e.begin(), n, e.begin() + static_cast<std::ptrdiff_t>(3 * n));
       },
       "experts.3.", "the same values"},
  };
  const fs::path good = s.run.temp / "good";
  fs::copy(s.path(6), good, fs::copy_options::recursive);
  int i = 0;
  for (const Case& c : cases) {
    CAPTURE(i++, c.says);
    rewrite(good, s.path(6), c.change);
    CHECK(finds(s.path(6), {c.names, c.says}) == "");
  }
  // a weight that is not there cannot be read: refused by name
  rewrite(good, s.path(6), [](State& t) { t.erase("model/" + kMatrix); });
  const RunResult lost = convert({"verify", s.path(6)});
  CHECK(lost.status == 2);
  CHECK(lacks(lost.err, {kMatrix}) == "");
  // updates that the steps cannot have made; an MTP layer that the configuration announces and nobody saved
  rewrite(
      good, s.path(6), [](State&) {}, [](nlohmann::json& meta) { meta["updates"] = 7; });
  CHECK(finds(s.path(6), {"7 updates after 6 steps"}) == "");
  rewrite(
      good, s.path(6),
      [](State& t) {
        std::erase_if(t, [](const auto& e) { return e.first.find("model.layers.4.") != std::string::npos; });
      },
      [](nlohmann::json& meta) { meta["has_mtp"] = false; });
  CHECK(finds(s.path(6), {"multi-token-prediction layer"}) == "");
  // two experts exchanged show beside the checkpoint before
  rewrite(good, s.path(6), [](State& t) {
    for (const std::string& name : {"model/" + kExperts, std::string("model/model.layers.1.mlp.experts.down_proj")}) {
      auto& e = t[name];
      const auto n = static_cast<std::ptrdiff_t>(e.size() / 16);
      std::swap_ranges(e.begin() + n, e.begin() + 2 * n, e.begin() + 5 * n);
    }
  });
  CHECK(finds(s.path(6), {"experts.1.", "it holds what", "experts.5."}, {"--against", s.path(4)}) == "");
  rewrite(good, s.path(6), [](State&) {});
  const RunResult sound = convert({"verify", s.path(6), "--against", s.path(4)});
  INFO(sound.out);
  CHECK(sound.status == 0);  // though the router's biases, zero six steps ago, have moved by half of what they are
}
