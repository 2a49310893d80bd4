// Bytes of parameters, gradients and activations, and bytes sent in each group, equal what the mesh predicts.
#include "model/predict.h"

#include "catch.h"
#include "pipeline/runner.h"
#include "tiny_model.h"

using namespace eddy;
using eddy_test::TinyModel;
using eddy_test::TinyRow;

TEST_CASE("memory and traffic are as predicted in every layout") {
  for (const auto& layout : eddy_test::layouts(eddy_test::session().size()))
    for (const auto mode : {model::Recompute::none, model::Recompute::selective, model::Recompute::full})
      for (const bool plain_q : {false, true}) {
        CAPTURE(layout.text(), static_cast<int>(mode), plain_q);
        model::StageOptions options;
        options.recompute = mode;
        options.mtp = true;
        options.balance_loss = plain_q ? 0.1 : 0;
        options.head_chunk = 24;
        TinyModel m(eddy_test::tiny_config(plain_q), layout, options);

        std::size_t parameters = 0, trainable = 0;
        for (const auto& p : model::stage_parameters(m.config, layout, eddy_test::session().rank(), m.plan)) {
          parameters += static_cast<std::size_t>(p.numel()) * 4;
          trainable += p.trainable ? static_cast<std::size_t>(p.numel()) * 4 : 0;
        }
        CHECK(m.store.value_bytes() == parameters);
        CHECK(m.store.grad_bytes() == trainable);

        std::vector<model::MicroBatch> batches;
        for (int i = 0; i < 3; ++i) {
          const TinyRow a(20, {20}, i + m.groups.at.dp), b(20, {7, 9}, i);
          const model::Row rows[] = {a.row(), b.row()};
          batches.push_back(model::make_micro_batch(rows, 61, 128, layout.tp));
        }
        const std::uint64_t tp0 = m.groups.tp->bytes_sent(), ep0 = m.groups.ep->bytes_sent(),
                            pp0 = m.groups.pp->bytes_sent();
        pipeline::Runner runner(m.stage, m.groups);
        runner.train(batches, {0.01, 0.003, 0.1});

        const model::StepShape shape{m.config,          layout, eddy_test::session().rank(), m.plan, options,
                                     batches[0].tokens, 2};
        model::Traffic want;
        std::vector<std::size_t> held;
        REQUIRE(m.stage.routed().size() == batches.size());
        for (const auto& routed : m.stage.routed()) {
          const auto t = model::micro_batch_traffic(shape, routed);
          want.tp += t.tp;
          want.ep += t.ep;
          want.pp += t.pp;
          held.push_back(model::saved_bytes(shape, routed));
        }
        const bool last = m.groups.at.pp == layout.pp - 1;
        if (last) want.pp += static_cast<std::uint64_t>(layout.pp - 1) * 32;  // the loss sums and counts, broadcast
        CHECK(m.groups.tp->bytes_sent() - tp0 == want.tp);
        CHECK(m.groups.ep->bytes_sent() - ep0 == want.ep);
        CHECK(m.groups.pp->bytes_sent() - pp0 == want.pp);

        // 1F1B holds min(PP - stage, micro-batches) micro-batches at once.
        const auto window = static_cast<std::size_t>(std::min<int>(layout.pp - m.groups.at.pp, 3));
        std::size_t peak = 0;
        for (std::size_t i = 0; i + window <= held.size(); ++i) {
          std::size_t sum = 0;
          for (std::size_t j = 0; j < window; ++j) sum += held[i + j];
          peak = std::max(peak, sum);
        }
        CHECK(runner.peak_saved_bytes() == peak);
      }
}
