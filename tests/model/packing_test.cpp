// A packed row of two documents equals the two run apart, MTP included: losses and every gradient.
#include <cmath>

#include "catch.h"
#include "model/weight_gradients.h"
#include "tiny_model.h"

using namespace eddy;
using eddy_test::TinyModel;
using eddy_test::TinyRow;
using model::MicroBatch;

namespace {

model::StageOptions with_mtp() {
  model::StageOptions o;
  o.mtp = true;
  return o;
}

MicroBatch batch_of(const TinyRow& row) {
  const auto r = row.row();
  return model::make_micro_batch(std::span(&r, 1), 61, 128, 1);
}
struct Result {
  model::LossSums loss;
  std::vector<float> grads;
};
Result run(const std::vector<TinyRow>& rows, const model::StageOptions& options, bool plain_q, bool defer = false) {
  TinyModel m(eddy_test::tiny_config(plain_q), {}, options);
  Result r;
  for (const TinyRow& row : rows) {
    const MicroBatch b = batch_of(row);
    auto out = m.stage.forward(b, {}, model::Pass::train, {0.1, 0.03, 0.5});
    model::WeightGradients later;
    m.stage.backward(b, std::move(out.saved), {}, defer ? &later : nullptr);
    later.run();
  }
  r.loss = m.stage.take_losses();
  for (const auto& p : m.store.all())
    if (p.grad) r.grads.insert(r.grads.end(), p.grad.f32(), p.grad.f32() + p.grad.numel());
  return r;
}
double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double d = 0, n = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    d += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
    n += static_cast<double>(b[i]) * b[i];
  }
  return std::sqrt(d / n);
}

/// Document `which` of a packed row, alone.
TinyRow alone(const TinyRow& packed, std::size_t which) {
  TinyRow one(0, {packed.lengths[which]}, 0);
  std::int64_t at = 0;
  for (std::size_t d = 0; d < which; ++d) at += packed.lengths[d];
  const auto n = static_cast<std::int64_t>(packed.lengths[which]);
  one.ids.assign(packed.ids.begin() + at, packed.ids.begin() + at + n);
  one.loss.assign(packed.loss.begin() + at, packed.loss.begin() + at + n);
  return one;
}

}  // namespace

TEST_CASE("a packed row of two documents equals the two run apart") {
  for (const bool plain_q : {false, true}) {
    const TinyRow packed(40, {17, 14}, 1);  // nine tokens of padding
    const Result together = run({packed}, with_mtp(), plain_q);
    const Result apart = run({alone(packed, 0), alone(packed, 1)}, with_mtp(), plain_q);
    REQUIRE(together.loss.main_count > 10);
    REQUIRE(together.loss.mtp_count > 10);
    CHECK(together.loss.main_count == apart.loss.main_count);
    CHECK(together.loss.mtp_count == apart.loss.mtp_count);
    CHECK(together.loss.main == approx(apart.loss.main).epsilon(1e-6));
    CHECK(together.loss.mtp == approx(apart.loss.mtp).epsilon(1e-6));
    CHECK(distance(together.grads, apart.grads) < 1e-5);  // float32 sums in another order
  }
}

TEST_CASE("recomputation and putting off weight gradients change no bit") {
  const std::vector<TinyRow> batches{TinyRow(33, {20, 9}, 2), TinyRow(33, {33}, 3)};
  for (const double balance : {0.0, 0.3}) {
    auto options = with_mtp();
    options.balance_loss = balance;
    const Result want = run(batches, options, false);
    for (const auto mode : {model::Recompute::none, model::Recompute::selective, model::Recompute::full})
      for (const bool defer : {false, true}) {
        options.recompute = mode;
        const Result got = run(batches, options, false, defer);
        CHECK(got.loss.main == want.loss.main);
        CHECK(got.loss.mtp == want.loss.mtp);
        CHECK(got.grads == want.grads);
      }
  }
}

TEST_CASE("logits in chunks give the same loss and gradients") {
  auto options = with_mtp();
  const Result want = run({TinyRow(33, {20, 9}, 2)}, options, false);
  options.head_chunk = 7;
  const Result got = run({TinyRow(33, {20, 9}, 2)}, options, false);
  CHECK(got.loss.main ==
        approx(want.loss.main).epsilon(1e-7));  // sgemm sums a chunk of another height in another order
  CHECK(distance(got.grads, want.grads) < 1e-6);
}
