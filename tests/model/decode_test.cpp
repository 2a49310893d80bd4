// Decoding with the cache against the training forward pass, in every layout.
#include "model/decode.h"

#include <algorithm>
#include <cmath>

#include "catch.h"
#include "tiny_model.h"

using namespace eddy;
using eddy_test::TinyModel;
using tensor::Tensor;
using tensor::View;

namespace {

std::vector<std::int32_t> some_ids(int n) {
  std::vector<std::int32_t> ids;
  for (int i = 0; i < n; ++i) ids.push_back((i * i * 5 + 3 * i + 2) % 61);
  return ids;
}

/// Every position's logits [n, V] of one sequence, by the training forward pass on this rank alone.
std::vector<float> reference(const hf::ModelConfig& config, const std::vector<std::int32_t>& ids) {
  const auto alone = eddy_test::session().world().split({eddy_test::session().rank()}, "alone");
  const auto groups = parallel::make_groups(*alone, {});
  const auto plan = model::plan_stages(config, 1, false, 32);
  parallel::ParameterStore store(model::stage_parameters(config, {}, 0, plan), false);
  model::initialise(config, store, 7);
  for (const auto& p : store.all())
    if (!p.info.trainable)
      for (std::int64_t i = 0; i < p.info.numel(); ++i) p.value.f32()[i] = 0.05f * static_cast<float>((i * 5) % 8);
  model::Stage stage(config, groups, plan, store, {});
  std::vector<float> out;
  stage.on_logits = [&](bool, std::int64_t, View block) {
    out.insert(out.end(), block.f32(), block.f32() + block.numel());
  };
  const std::vector<std::int32_t> lengths{static_cast<std::int32_t>(ids.size())};
  const std::vector<std::uint8_t> loss(ids.size(), 1);
  const model::Row row{ids, lengths, loss};
  stage.forward(model::make_micro_batch(std::span(&row, 1), 61, 128, 1), {}, model::Pass::evaluate, {});
  return out;
}

/// The last stage's output of one step, on every rank of the pipeline.
Tensor step(model::DecodeStage& stage, const parallel::Groups& groups, std::vector<std::int32_t> ids,
            std::int64_t hidden) {
  const int s = groups.at.pp, last = groups.layout.pp - 1;
  const auto n = static_cast<std::int64_t>(ids.size());
  Tensor x;
  if (s > 0) {
    x = Tensor({n, hidden});
    groups.pp->recv(x.view().data, static_cast<std::size_t>(x.view().numel()), Dtype::f32, s - 1, 0);
  }
  Tensor out = stage.forward(View(ids.data(), Dtype::i32, {n}), std::move(x));
  if (s == last) return out;
  groups.pp->isend(out.view().data, static_cast<std::size_t>(out.view().numel()), Dtype::f32, s + 1, 0)->wait();
  return {};
}

}  // namespace

TEST_CASE("decoding gives the logits of the whole sequence's forward pass") {
  for (const auto& layout : eddy_test::layouts(eddy_test::session().size()))
    for (const bool plain_q : {false, true}) {
      CAPTURE(layout.text(), plain_q);
      const auto config = eddy_test::tiny_config(plain_q);
      const auto ids = some_ids(19);
      const auto want = reference(config, ids);
      TinyModel m(config, layout, {});
      model::DecodeStage stage(m.config, m.groups, m.plan, m.store, 19);
      for (int again = 0; again < 2; ++again) {  // the second time after clear()
        std::vector<std::int32_t> prefix(ids.begin(), ids.begin() + 11);
        std::size_t seen = 11;
        Tensor out = step(stage, m.groups, prefix, config.hidden_size);
        while (true) {
          double worst = 0, peak = 0;
          if (out)
            for (std::size_t v = 0; v < 61; ++v) {
              worst = std::max(worst, std::abs(static_cast<double>(out.f32()[v]) - want[(seen - 1) * 61 + v]));
              peak = std::max(peak, std::abs(static_cast<double>(want[(seen - 1) * 61 + v])));
            }
          CHECK(worst <= 2e-5 * peak);  // float32, other orders of summation
          if (seen == ids.size()) break;
          out = step(stage, m.groups, {ids[seen++]}, config.hidden_size);
        }
        CHECK(stage.length() == 19);
        stage.clear();
      }
    }
}
