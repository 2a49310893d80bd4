#include "parallel/zero.h"

#include <cstdlib>
#include <numeric>

#include "base/error.h"
#include "catch.h"

using namespace eddy::parallel;

namespace {

ParameterInfo parameter(std::vector<std::int64_t> extent, bool trainable = true) {
  ParameterInfo p;
  p.global_shape = p.extent = std::move(extent);
  p.begin.assign(p.extent.size(), 0);
  p.trainable = trainable;
  return p;
}
std::int64_t columns(const ParameterInfo& p) {
  return p.extent.size() > 1 ? p.extent.back() : 1;
}
std::int64_t rows(const ParameterInfo& p) {
  return p.numel() / columns(p);
}

/// What every plan must keep to, whatever the parameters.
void check_plan(const std::vector<ParameterInfo>& parameters, int members) {
  const ZeroPlan plan = zero_plan(parameters, members);
  REQUIRE(plan.owned.size() == static_cast<std::size_t>(members));
  REQUIRE(plan.counts.size() == plan.owned.size());
  std::int64_t total = 0, largest_block = 0;
  for (const auto& p : parameters) {
    if (!p.trainable) continue;
    total += p.numel();
    largest_block = std::max(largest_block, std::min<std::int64_t>(128, rows(p)) * columns(p));
  }
  CHECK(plan.total == static_cast<std::size_t>(total));
  CHECK(std::accumulate(plan.counts.begin(), plan.counts.end(), std::size_t{0}) == plan.total);

  // Read in order, the pieces are the parameters' rows from the first to the last.
  std::size_t at = 0;
  std::int64_t row = 0;
  int gaps = 0, bad_cuts = 0, bad_counts = 0, unbalanced = 0;
  const auto skip = [&] {
    while (at < parameters.size() && (!parameters[at].trainable || row == rows(parameters[at]))) {
      ++at;
      row = 0;
    }
  };
  for (std::size_t m = 0; m < plan.owned.size(); ++m) {
    std::int64_t elements = 0;
    for (const ZeroPiece& piece : plan.owned[m]) {
      skip();
      REQUIRE(at < parameters.size());
      const ParameterInfo& p = parameters[at];
      gaps += piece.parameter != static_cast<int>(at) || piece.begin != row || piece.end <= piece.begin;
      bad_cuts += piece.begin % 128 != 0 || (piece.end % 128 != 0 && piece.end != rows(p));
      elements += (piece.end - piece.begin) * columns(p);
      row = piece.end;
    }
    bad_counts += elements != static_cast<std::int64_t>(plan.counts[m]);
    unbalanced += std::abs(elements - total / members) > largest_block;
  }
  skip();
  CHECK(at == parameters.size());
  CHECK(gaps == 0);
  CHECK(bad_cuts == 0);
  CHECK(bad_counts == 0);
  CHECK(unbalanced == 0);
}

}  // namespace

TEST_CASE("two members, worked by hand") {
  // 300 rows of 2, then a vector of 100: 700 elements, half is 350, the cuts near it are rows 128 (256) and 256 (512).
  const std::vector<ParameterInfo> parameters{parameter({300, 2}), parameter({100})};
  const ZeroPlan plan = zero_plan(parameters, 2);
  CHECK(plan.counts == std::vector<std::size_t>{256, 444});
  REQUIRE(plan.owned[1].size() == 2);
  CHECK(plan.owned[0][0].end == 128);
  CHECK(plan.owned[1][0].begin == 128);
  CHECK(plan.owned[1][0].end == 300);
  CHECK(plan.owned[1][1].parameter == 1);
  CHECK(plan.owned[1][1].end == 100);
}

TEST_CASE("every row is owned once, cut at blocks of 128 rows, in balance") {
  const std::vector<ParameterInfo> layer{parameter({1536}),       parameter({1000, 512}),  parameter({8, 100, 64}),
                                         parameter({256}, false), parameter({4, 256, 64}), parameter({7, 3}),
                                         parameter({129280, 16})};
  for (const int members : {1, 2, 3, 4, 7, 8, 64, 333, 2048}) {
    INFO(members << " members");
    check_plan(layer, members);
  }
  check_plan({parameter({5})}, 4);
  check_plan({}, 4);
  check_plan({parameter({64, 64}, false)}, 2);
}

TEST_CASE("experts of the size of DeepSeek-R1 on many ranks") {
  std::vector<ParameterInfo> stage;
  for (int i = 0; i < 4; ++i) {
    stage.push_back(parameter({256, 4096, 7168}));
    stage.push_back(parameter({256, 7168, 2048}));
    stage.push_back(parameter({7168}));
  }
  check_plan(stage, 2048);
}

TEST_CASE("a plan for nobody is refused") {
  CHECK_THROWS_AS(zero_plan({}, 0), eddy::Error);
}
