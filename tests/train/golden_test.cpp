// The committed golden checkpoints (docs/golden.md) in every layout of the ranks that run, with and without
// recomputation.
#include "catch.h"
#include "comm/session.h"
#include "support.h"
#include "train/verify.h"

using namespace eddy;
using parallel::Layout;

namespace {
std::vector<Layout> layouts(int world) {
  switch (world) {
    case 1:
      return {{1, 1, 1, 1, 1}};
    case 2:
      return {{2, 2, 1, 1, 1}, {2, 1, 2, 1, 1}, {2, 2, 2, 1, 1}, {2, 1, 1, 2, 1}};
    case 4:
      return {{4, 4, 1, 1, 1}, {4, 2, 4, 1, 1}, {4, 4, 4, 1, 1}, {4, 2, 1, 2, 1}, {4, 1, 2, 2, 1}, {4, 1, 1, 4, 1}};
    default:
      return {{8, 2, 4, 2, 1}, {8, 2, 2, 1, 1}};
  }
}
}  // namespace

TEST_CASE("golden logits, losses and gradients in every layout") {
  static comm::Session session;
  for (const std::string name : {"tiny", "tiny-yarn", "tiny-mtp", "tiny-no-q-lora", "tiny-mscale"}) {
    train::VerifyOptions o;
    o.model = eddy_test::source_dir() / "tests/fixtures" / name;
    o.golden = o.model / "golden.safetensors";
    for (const Layout& layout : layouts(session.size())) {
      if (layout.pp > 2 && (name == "tiny-no-q-lora" || name == "tiny-mscale")) continue;  // fewer layers than stages
      for (const auto mode : {model::Recompute::none, model::Recompute::full}) {
        o.layout = layout;
        o.recompute = mode;
        const auto results = train::verify(session.world(), o);
        CAPTURE(name, layout.text(), static_cast<int>(mode));
        REQUIRE(results.size() > 20);
        for (const auto& r : results) {
          CAPTURE(r.name, r.error);
          CHECK(r.holds());
        }
      }
      if (layout.ep == 1) continue;
      o.recompute = model::Recompute::selective;
      o.expert_capacity = 0.3;
      CAPTURE(name, layout.text(), "in waves");
      for (const auto& r : train::verify(session.world(), o)) {
        CAPTURE(r.name, r.error);
        CHECK(r.holds());
      }
      o.expert_capacity = train::VerifyOptions().expert_capacity;
    }
  }
}
