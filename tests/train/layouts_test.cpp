// Training does not depend on the layout: packed documents, unequal masks, accumulation, MTP, clipping that bites,
// moving router biases, an expert that gets no token, learning rate 1e-3. One rank on its own is the reference.
#include <cmath>
#include <nlohmann/json.hpp>

#include "../model/tiny_model.h"
#include "catch.h"
#include "checkpoint/checkpoint.h"
#include "parallel/traffic.h"
#include "support.h"
#include "train/engine.h"
#include "train/memory.h"

using namespace eddy;
using eddy_test::session;
using parallel::Layout;
using train::Engine;

namespace {

constexpr int kSteps = 20, kRows = 8;
constexpr double kRate = 1e-3;

hf::ModelConfig config() {
  auto c = eddy_test::tiny_config();
  c.initializer_range = 0.05;
  return c;
}

train::EngineOptions options(model::Recompute mode) {
  train::EngineOptions o;
  o.stage.mtp = true;
  o.stage.recompute = mode;
  o.stage.balance_loss = 1e-3;
  o.adamw.clip_norm = 0.3;
  o.router_bias_rate = 0.01;
  o.seq_len = 32;
  o.bucket_elements = 6000;  // several of each kind, summed during the backward pass
  return o;
}

/// One seed's model; expert 5 is never chosen (its bias is out of reach of twenty steps).
std::unique_ptr<Engine> make_engine(comm::Communicator& world, const Layout& layout,
                                    model::Recompute mode = model::Recompute::none) {
  auto engine = std::make_unique<Engine>(world, config(), layout, options(mode));
  model::initialise(engine->model(), engine->store(), 11);
  for (const auto& p : engine->store().all())
    if (!p.info.trainable) p.value.f32()[5] = -10;
  return engine;
}

/// This replica's rows of a step: 8 rows of 32 tokens, of which between 1 and 30 count.
std::vector<model::MicroBatch> batches(const Layout& layout, int dp, int step, int micro_batch) {
  std::vector<eddy_test::TinyRow> rows;
  for (int i = dp * kRows / layout.dp(); i < (dp + 1) * kRows / layout.dp(); ++i) {
    const int first = 3 + (7 * i + step) % 23;
    eddy_test::TinyRow row(
        32, i % 3 == 2 ? std::vector<std::int32_t>{first} : std::vector<std::int32_t>{first, 32 - first - i % 2},
        i + 5 * step);
    if (i % 4 == 3)
      for (std::size_t t = 0; t < row.loss.size(); ++t) row.loss[t] = t == 2;  // one target
    rows.push_back(std::move(row));
  }
  std::vector<model::MicroBatch> out;
  for (std::size_t i = 0; i < rows.size(); i += static_cast<std::size_t>(micro_batch)) {
    std::vector<model::Row> some;
    for (int j = 0; j < micro_batch; ++j) some.push_back(rows[i + static_cast<std::size_t>(j)].row());
    out.push_back(model::make_micro_batch(some, 61, 128, layout.tp));
  }
  return out;
}

struct Curve {
  std::vector<double> loss, mtp, norm;
  bool operator==(const Curve&) const = default;
};

void advance(Engine& engine, const Layout& layout, int from, int to, Curve& curve, int micro_batch = 1) {
  for (int step = from; step < to; ++step) {
    const auto r = engine.step(batches(layout, engine.groups().at.dp, step, micro_batch), kRate);
    REQUIRE(!r.skipped);
    curve.loss.push_back(r.loss);
    curve.mtp.push_back(r.mtp_loss);
    curve.norm.push_back(r.grad_norm);
  }
}

std::vector<float> values(Engine& engine) {
  std::vector<float> out;
  for (const auto& p : engine.store().all()) out.insert(out.end(), p.value.f32(), p.value.f32() + p.value.numel());
  return out;
}

const Curve& reference() {
  static const Curve curve = [] {
    const auto alone = session().world().split({session().rank()}, "alone");
    const auto engine = make_engine(*alone, {});
    Curve c;
    advance(*engine, {}, 0, kSteps, c);
    return c;
  }();
  return curve;
}

void follows(const Curve& curve, const Curve& want, std::size_t from = 0) {
  for (std::size_t i = 0; i < curve.loss.size(); ++i) {
    const double tolerance = from + i == 0 ? 1e-6 : 1e-4;
    CAPTURE(from + i);
    CHECK(std::abs(curve.loss[i] - want.loss[from + i]) <= tolerance * want.loss[from + i]);
    CHECK(std::abs(curve.mtp[i] - want.mtp[from + i]) <= tolerance * want.mtp[from + i]);
  }
}

}  // namespace

TEST_CASE("the reference does what the test is about") {
  const auto alone = session().world().split({session().rank()}, "alone");
  const auto engine = make_engine(*alone, {});
  const auto before = values(*engine);
  Curve c;
  advance(*engine, {}, 0, 3, c);
  for (const double n : c.norm) CHECK(n > 0.3);  // clipping bites
  CHECK(values(*engine) != before);
  int moved = 0, idle = 0;
  for (const auto& p : engine->store().all())
    if (!p.info.trainable)
      for (int e = 0; e < 8; ++e)
        (p.value.f32()[e] != 0 && e != 5) ? ++moved : 0, idle += e == 5 && p.value.f32()[e] == approx(-9.97f);
  CHECK(moved > 20);  // biases move …
  CHECK(idle == 4);   // … and in each of the four routers the idle expert's rises three times by the rate
}

TEST_CASE("every layout follows the one-rank run, and repeats bit for bit") {
  for (const Layout& layout : eddy_test::layouts(session().size())) {
    CAPTURE(layout.text());
    const auto first = make_engine(session().world(), layout);
    Curve curve, again;
    advance(*first, layout, 0, kSteps, curve);
    follows(curve, reference());
    const auto second = make_engine(session().world(), layout);
    advance(*second, layout, 0, kSteps, again);
    CHECK(curve == again);
    CHECK(values(*first) == values(*second));
  }
}

TEST_CASE("recomputation changes no bit; larger micro-batches change rounding only") {
  const Layout layout = eddy_test::layouts(session().size()).back();
  Curve none, two;
  const auto plain = make_engine(session().world(), layout);
  advance(*plain, layout, 0, 6, none);
  for (const auto mode : {model::Recompute::selective, model::Recompute::full}) {
    Curve curve;
    const auto engine = make_engine(session().world(), layout, mode);
    advance(*engine, layout, 0, 6, curve);
    CHECK(curve == none);
    CHECK(values(*engine) == values(*plain));
  }
  const auto engine = make_engine(session().world(), layout);
  advance(*engine, layout, 0, 6, two, kRows / layout.dp() >= 2 ? 2 : 1);
  follows(two, none);
}

TEST_CASE("a checkpoint goes on with the same bits, and in another layout to rounding") {
  // One folder for all ranks: rank 0's.
  const eddy_test::TempDir own;
  std::string folder = own.path().string();
  std::int64_t size = static_cast<std::int64_t>(folder.size());
  session().world().broadcast(&size, 1, Dtype::i64, 0);
  folder.resize(static_cast<std::size_t>(size));
  session().world().broadcast(folder.data(), folder.size(), Dtype::u8, 0);

  const auto layouts = eddy_test::layouts(session().size());
  const Layout& writer = layouts.front();
  const auto path = std::filesystem::path(folder) / "step-00000010";
  Curve whole;
  const auto first = make_engine(session().world(), writer);
  advance(*first, writer, 0, 10, whole);
  checkpoint::save(session().world(), path, {{"updates", first->optimizer().updates()}}, first->optimizer().owned());
  advance(*first, writer, 10, kSteps, whole);

  for (const Layout& layout : layouts) {
    CAPTURE(writer.text(), layout.text());
    const auto engine = make_engine(session().world(), layout);
    const checkpoint::Checkpoint saved(path);
    engine->optimizer().load([&](const tensor::Slice& slice) { saved.read(slice); });
    engine->optimizer().set_updates(saved.meta().at("updates"));
    Curve curve;
    advance(*engine, layout, 10, kSteps, curve);
    if (layout.text() == writer.text()) {
      CHECK(curve.loss == std::vector<double>(whole.loss.begin() + 10, whole.loss.end()));
      CHECK(curve.norm == std::vector<double>(whole.norm.begin() + 10, whole.norm.end()));
      CHECK(values(*engine) == values(*first));
    }
    follows(curve, whole, 10);
  }
  session().world().barrier();
}

TEST_CASE("optimizer state and its messages are as the mesh predicts") {
  for (const Layout& layout : eddy_test::layouts(session().size())) {
    CAPTURE(layout.text());
    const auto engine = make_engine(session().world(), layout);
    const auto& groups = engine->groups();
    train::MemoryPlan memory(engine->model(), layout, options(model::Recompute::none), 1, kRows / layout.dp());
    const auto planned = memory.of(session().rank());
    CHECK(engine->optimizer().moment_bytes() == planned.moments);
    CHECK(engine->optimizer().master_bytes() == planned.masters);
    CHECK(engine->store().value_bytes() == planned.values);
    CHECK(engine->store().grad_bytes() == planned.gradients);

    // EDP carries nothing but its gradients' reduce-scatters and the values' all-gathers.
    const std::uint64_t before = groups.edp->bytes_sent();
    Curve c;
    advance(*engine, layout, 0, 1, c);
    std::uint64_t predicted = 0;
    const int n = groups.edp->size();
    const auto& plan = engine->store().plan_of(parallel::Group::edp);
    if (layout.pp == 1) CHECK(plan.buckets.size() > 1);
    for (const auto& bucket : plan.buckets) {
      const auto part = static_cast<std::uint64_t>(4 * bucket.part);
      predicted += parallel::reduce_scatter_bytes(n, part) + parallel::all_gather_bytes(n, part);
    }
    CHECK(groups.edp->bytes_sent() - before == predicted);
  }
}
