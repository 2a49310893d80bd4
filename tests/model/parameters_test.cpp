#include "model/parameters.h"

#include <map>

#include "base/error.h"
#include "catch.h"
#include "support.h"
#include "tiny_model.h"

using namespace eddy;
using parallel::Layout;

namespace {
std::int64_t total(const std::vector<parallel::ParameterInfo>& list) {
  std::int64_t n = 0;
  for (const auto& p : list) n += p.global_numel();
  return n;
}
}  // namespace

TEST_CASE("DeepSeek-R1's parameters") {
  const auto c = hf::read_config(eddy_test::source_dir() / "configs/model/deepseek-r1.json");
  CHECK(total(model::all_parameters(c, false)) == 671'026'419'200);
  // The published MTP layer has copies of embedding and head, which Eddy shares.
  CHECK(total(model::all_parameters(c, true)) + 2ll * c.vocab_size * c.hidden_size == 684'489'845'504);
}

TEST_CASE("the ranks' blocks cover every parameter once a replica") {
  const auto c = eddy_test::tiny_config();
  for (const int world : {1, 2, 4, 8})
    for (const Layout& layout : eddy_test::layouts(world)) {
      CAPTURE(layout.text());
      const auto plan = model::plan_stages(c, layout.pp, true, 32);
      std::map<std::string, std::int64_t> covered;
      for (int r = 0; r < world; ++r)
        for (const auto& p : model::stage_parameters(c, layout, r, plan)) {
          for (std::size_t a = 0; a < p.extent.size(); ++a)
            REQUIRE((p.begin[a] >= 0 && p.begin[a] + p.extent[a] <= p.global_shape[a]));
          if (!p.tied_copy)
            covered[p.name] +=
                p.numel() * 840 / static_cast<std::int64_t>(parallel::members(layout, p.replicas, r).size());
        }
      const auto all = model::all_parameters(c, true);
      CHECK(covered.size() == all.size());
      for (const auto& p : all) {
        CAPTURE(p.name);
        CHECK(covered[p.name] == p.global_numel() * 840);
      }
    }
}

TEST_CASE("stages are contiguous, none is empty, and the costliest is as cheap as can be") {
  const auto c = hf::read_config(eddy_test::source_dir() / "configs/model/deepseek-r1.json");
  for (const int pp : {1, 2, 8, 16, 61}) {
    const auto plan = model::plan_stages(c, pp, true, 4096);
    double flops = 0;
    for (const double stage : model::stage_flops_per_token(c, plan, 4096)) flops += stage;
    CHECK(flops == approx(model::forward_flops_per_token(c, true, 4096)));
    REQUIRE(plan.stages.size() == static_cast<std::size_t>(pp));
    CHECK(plan.stages.front().first == 0);
    CHECK(plan.stages.back().last == 61);
    for (std::size_t s = 0; s < plan.stages.size(); ++s) {
      CHECK(plan.stages[s].first < plan.stages[s].last);
      if (s > 0) CHECK(plan.stages[s].first == plan.stages[s - 1].last);
    }
  }
  // 16 stages: head and MTP weigh on the last one, which gets fewer layers than the average of the others.
  const auto plan = model::plan_stages(c, 16, true, 4096);
  CHECK(plan.stages.back().last - plan.stages.back().first <= 3);
  CHECK_THROWS_WITH(model::plan_stages(c, 62, false, 4096), contains_text("parallel.pp=62"));
}

TEST_CASE("forward FLOPs of the benchmark slice") {
  // Hidden 7168, 1 dense + 3 MoE layers, 16 routed experts, vocabulary 16,160, 4,096 tokens: worked by hand.
  auto c = hf::read_config(eddy_test::source_dir() / "configs/model/deepseek-r1.json");
  c.num_layers = 4;
  c.first_k_dense_replace = 1;
  c.n_routed_experts = 16;
  c.vocab_size = 16160;
  const double attention = 7168. * 1536 + 1536. * 128 * 192 + 7168. * 576 + 512. * 128 * 256 + 128. * 128 * 7168;
  const double matrices = 4 * attention + 3. * 7168 * 18432 + 3 * (9 * 3. * 7168 * 2048 + 7168. * 16) + 7168. * 16160;
  const double scores = 4 * 2 * (4096. / 2) * 128 * (192 + 128);
  CHECK(model::forward_flops_per_token(c, false, 4096) == approx(2 * matrices + scores).epsilon(1e-12));
}
