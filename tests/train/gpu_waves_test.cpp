// On GPUs, all tokens to one rank's experts: in waves the step stays within the planned memory, unlimited it would not.
#include <cmath>

#include "../model/tiny_model.h"
#include "catch.h"
#include "comm/gpu.h"
#include "device/gpu.h"
#include "support.h"
#include "train/engine.h"
#include "train/memory.h"

using namespace eddy;
using parallel::Layout;

namespace {

constexpr std::int64_t kTokens = 4096;
/// What libraries ask for besides (workspaces of products and attention).
constexpr std::size_t kLibraries = std::size_t{96} << 20;

/// Small but for its experts' rows.
hf::ModelConfig config() {
  auto c = eddy_test::tiny_config();
  c.hidden_size = 256;
  c.intermediate_size = 256;
  c.moe_intermediate_size = 256;
  c.n_routed_experts = 32;
  c.top_k = 8;
  c.n_group = c.topk_group = 1;
  c.num_mtp_layers = 0;
  c.initializer_range = 0.05;
  c.max_position_embeddings = static_cast<int>(kTokens);
  return c;
}

struct Result {
  train::Engine::Result step;
  std::size_t peak = 0, planned = 0;
};

Result run(const Layout& layout, const device::Stream& stream, double capacity) {
  train::EngineOptions options;
  options.stage.expert_capacity = capacity;
  options.seq_len = kTokens;
  const auto c = config();
  train::MemoryPlan plan(c, layout, options, 1, 1);
  train::Engine engine(eddy_test::session().world(), c, layout, options, stream);
  engine.fill([&](const parallel::Parameter& p) {
    model::initialise(c, p, 5);
    if (!p.info.trainable)  // the router's bias: only the first rank's experts are chosen
      for (std::int64_t e = 0; e < c.n_routed_experts; ++e)
        p.value.f32()[e] = e < c.n_routed_experts / layout.ep ? 10 : 0;
  });
  const eddy_test::TinyRow row(kTokens, {static_cast<std::int32_t>(kTokens)}, engine.groups().at.dp);
  const model::Row rows[] = {row.row()};
  std::vector<model::MicroBatch> batches;
  batches.push_back(model::make_micro_batch(rows, c.vocab_size, c.max_position_embeddings, layout.tp));
  Result r;
  const int rank = eddy_test::session().rank();
  r.planned = plan.of(rank).total() + plan.working(rank);
  r.step = engine.step(batches, 1e-4);
  r.peak = engine.peak_bytes();
  return r;
}

}  // namespace

TEST_CASE("GPU: the most skewed routing stays within the planned memory") {
  std::string why;
  if (device::gpu_count(&why) == 0) return eddy_test::skip(why);
  auto& session = eddy_test::session();
  session.set_timeout(100);
  const auto choice = comm::choose_gpu(session);
  const auto stream = device::open_gpu(choice.index, std::size_t{3} << 30);
  const int n = session.size();
  const Layout layout{n, 1, n, 1, 1};
  const Result waves = run(layout, stream, 1), unlimited = run(layout, stream, 100);
  CAPTURE(waves.planned, waves.peak, unlimited.planned, unlimited.peak);
  CHECK(waves.step.load.waves >= n);
  CHECK(unlimited.step.load.waves == 1);
  CHECK(waves.peak <= waves.planned + kLibraries);
  CHECK(unlimited.peak <= unlimited.planned + kLibraries);
  if (session.rank() == 0) CHECK(unlimited.peak > waves.planned + kLibraries);  // so the check above says something
  CHECK(!waves.step.skipped);
  CHECK(std::abs(waves.step.loss - unlimited.step.loss) <= 1e-5 * unlimited.step.loss);
  CHECK(std::abs(waves.step.grad_norm - unlimited.step.grad_norm) <= 1e-4 * unlimited.step.grad_norm);
}
