// Routing as skewed as can be: every token to the experts of one rank. Waves of the planned rows give what one large
// wave gives, and hold no more than planned.
#include <cmath>

#include "catch.h"
#include "model/predict.h"
#include "pipeline/runner.h"
#include "tiny_model.h"

using namespace eddy;
using eddy_test::session;
using eddy_test::TinyModel;
using eddy_test::TinyRow;
using parallel::Layout;

namespace {

hf::ModelConfig config() {
  auto c = eddy_test::tiny_config();
  c.n_routed_experts = 16;
  c.n_group = c.topk_group = 1;
  return c;
}

struct Result {
  std::vector<double> losses;
  std::vector<std::vector<float>> gradients;
  int most_waves = 0;
};

/// Two micro-batches' losses and gradients with all choices among the first `busy` experts.
Result run(const Layout& layout, model::Recompute mode, int busy, double capacity) {
  model::StageOptions options;
  options.recompute = mode;
  options.mtp = true;
  options.expert_capacity = capacity;
  TinyModel m(config(), layout, options);
  for (const auto& p : m.store.all())
    if (!p.info.trainable)
      for (std::int64_t e = 0; e < 16; ++e) p.value.f32()[e] = e < busy ? 10.f : 0.f;
  std::vector<model::MicroBatch> batches;
  for (int i = 0; i < 2; ++i) {
    const TinyRow a(32, {20, 11}, i + m.groups.at.dp), b(32, {31}, i);
    const model::Row rows[] = {a.row(), b.row()};
    batches.push_back(model::make_micro_batch(rows, 61, 128, layout.tp));
  }
  pipeline::Runner runner(m.stage, m.groups);
  const auto sums = runner.train(batches, {0.01, 0.003, 0});
  Result r;
  r.losses = {sums.main, sums.mtp};
  for (const auto& p : m.store.all())
    if (p.info.trainable) r.gradients.emplace_back(p.grad.f32(), p.grad.f32() + p.grad.numel());

  const model::StepShape shape{m.config, layout, session().rank(), m.plan, options, batches[0].tokens, 2};
  const auto planned = model::planned_routing(shape);
  const auto in_flight = static_cast<std::size_t>(std::min(layout.pp - m.groups.at.pp, 2));
  CHECK(runner.peak_saved_bytes() <= in_flight * model::saved_bytes(shape, planned));
  for (const auto& routed : m.stage.routed()) {
    CHECK(routed.held <= planned.held);
    CHECK(routed.rows <= planned.rows);
    CHECK(routed.arrivals <= planned.arrivals);
    CHECK(routed.waves <= planned.waves);
    r.most_waves = std::max(r.most_waves, routed.most_waves);
  }
  std::int64_t again = 0;
  for (const auto& routed : m.stage.routed()) again += routed.sent_again;
  if (r.most_waves == 1) CHECK(again == 0);
  return r;
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = a[i], y = b[i];
    difference += (x - y) * (x - y);
    norm += y * y;
  }
  return difference == 0 ? 0 : std::sqrt(difference / norm);
}

}  // namespace

TEST_CASE("waves give what one wave gives, within the planned memory") {
  const int n = session().size();
  for (const Layout& layout : n == 2 ? std::vector<Layout>{{2, 1, 2, 1, 1}, {2, 2, 2, 1, 1}}
                                     : std::vector<Layout>{{4, 1, 4, 1, 1}, {4, 2, 4, 1, 1}, {4, 1, 2, 2, 1}})
    for (const auto mode : {model::Recompute::none, model::Recompute::full}) {
      CAPTURE(layout.text(), static_cast<int>(mode));
      const int busy = 16 / layout.ep;
      const Result one = run(layout, mode, busy, 100);
      CHECK(one.most_waves == 1);
      for (const double capacity : {1.0, 0.3}) {
        CAPTURE(capacity);
        const Result waves = run(layout, mode, busy, capacity);
        CHECK(waves.most_waves >= (capacity == 1.0 ? 2 : 4));
        for (std::size_t i = 0; i < 2; ++i)
          CHECK(std::abs(waves.losses[i] - one.losses[i]) <= 1e-6 * std::abs(one.losses[i]));
        REQUIRE(waves.gradients.size() == one.gradients.size());
        double worst = 0;
        for (std::size_t i = 0; i < one.gradients.size(); ++i)
          worst = std::max(worst, distance(waves.gradients[i], one.gradients[i]));
        CHECK(worst <= 2e-6);
        CHECK(run(layout, mode, busy, capacity).gradients == waves.gradients);  // the same bits again
      }
    }
}
