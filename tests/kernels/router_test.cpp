#include "kernels/router/router.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "catch.h"
#include "values.h"

using namespace eddy_test;
using namespace eddy::kernels;

namespace {
struct Routed {
  std::vector<float> scores, weights;
  std::vector<std::int32_t> indices;
};
Routed route(Block& logits, Block bias, const RouterConfig& c, std::vector<std::uint8_t> valid = {}) {
  const std::int64_t tokens = logits.rows();
  Block scores(tokens, c.experts), weights(tokens, c.top_k, 0, -7);
  std::vector<std::int32_t> indices(static_cast<std::size_t>(tokens * c.top_k), -7);
  router({}, logits, bias.rows() ? bias.flat() : View{}, valid.empty() ? View{} : bytes(valid), c, scores,
         ints(indices, tokens, c.top_k), weights);
  return {scores.floats(), weights.floats(), indices};
}
double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}
const Block kNoBias(0, 0);
using Indices = std::vector<std::int32_t>;
}  // namespace

TEST_CASE("router: sigmoid scores, the bias chooses, the unbiased scores weigh") {
  Block logits(1, 4, {0, 1, 2, -1}), bias(1, 4, {1, 0, 0, 0});
  const Routed r = route(logits, bias, {.experts = 4, .top_k = 2, .scaling = 2.5f});
  CHECK(r.indices == Indices{0, 2});  // 1.5, then 0.88: the bias lifts expert 0 above expert 2
  const double a = 0.5, b = sigmoid(2);
  CHECK(distance({r.weights.begin(), r.weights.end()}, {2.5 * a / (a + b), 2.5 * b / (a + b)}) < 4 * kUlp);
  CHECK(distance({r.scores.begin(), r.scores.end()}, {0.5, sigmoid(1), b, sigmoid(-1)}) < 3 * kUlp);
  const Routed plain = route(logits, bias, {.experts = 4, .top_k = 2, .normalize = false, .scaling = 2});
  CHECK(plain.weights[0] == approx(1.0));
  CHECK(plain.weights[1] == approx(2 * b));
}

TEST_CASE("router: groups are kept by the sum of their two best biased scores") {
  // Three groups of three. Best single score: group 0; best pair: groups 1 and 2.
  Block logits(1, 9, {3, -5, -5, 1, 1, -5, 0.5f, 0.9f, -5}), bias(1, 9);
  const Routed r = route(logits, bias, {.experts = 9, .top_k = 3, .groups = 3, .groups_kept = 2});
  CHECK(r.indices == Indices{3, 4, 7});  // equal scores 3 and 4: the lower index first
  RouterConfig best{.experts = 9, .top_k = 3, .groups = 3, .groups_kept = 2, .sigmoid = false, .noaux = false};
  CHECK(route(logits, kNoBias, best).indices == Indices{0, 3, 4});  // by each group's best: groups 0 and 1
  // Softmax scores 2 and -5 against 1.5 and 1.5: the first group has the better best, the second the better pair.
  Block pair(1, 4, {2, -5, 1.5f, 1.5f});
  RouterConfig limited{.experts = 4, .top_k = 1, .groups = 2, .groups_kept = 1, .sigmoid = false, .noaux = false};
  CHECK(route(pair, kNoBias, limited).indices == Indices{0});
  limited.noaux = true;
  CHECK(route(pair, Block(1, 4), limited).indices == Indices{2});
  RouterConfig greedy{.experts = 9, .top_k = 3, .sigmoid = false, .noaux = false, .normalize = false, .scaling = 1};
  const Routed g = route(logits, kNoBias, greedy);
  CHECK(g.indices == Indices{0, 3, 4});
  CHECK(std::accumulate(g.scores.begin(), g.scores.end(), 0.0) == approx(1.0));
  CHECK(g.weights[0] == g.scores[0]);
  Block lift(1, 9, {0, 0, 0, 0, 0, 9, 0, 0, 9});
  CHECK(route(logits, lift, greedy).indices == Indices{0, 3, 4});  // without noaux there is no bias
}

TEST_CASE("router: masked experts score 0, which beats a negative biased score, as in the published code") {
  // Group 0 is kept (its sum is greater), but its second expert's biased score is below 0.
  Block logits(1, 4, {2, 0, -1, -1}), bias(1, 4, {5, -3, -2, -2});
  const Routed r = route(logits, bias, {.experts = 4, .top_k = 2, .groups = 2, .groups_kept = 1});
  CHECK(r.indices == Indices{0, 2});
  const double a = sigmoid(2), b = sigmoid(-1);
  CHECK(r.weights[1] == approx(b / (a + b)));
}

TEST_CASE("router: ties go to the lower index, whole groups of them too") {
  Block logits(1, 8, 0), bias(1, 8);
  CHECK(route(logits, bias, {.experts = 8, .top_k = 3}).indices == Indices{0, 1, 2});
  CHECK(route(logits, bias, {.experts = 8, .top_k = 4, .groups = 4, .groups_kept = 2}).indices == Indices{0, 1, 2, 3});
  logits(0, 6) = 1;
  CHECK(route(logits, bias, {.experts = 8, .top_k = 4, .groups = 4, .groups_kept = 2}).indices == Indices{6, 0, 1, 7});
  CHECK(route(logits, bias, {.experts = 8, .top_k = 8}).indices == Indices{6, 0, 1, 2, 3, 4, 5, 7});
}

TEST_CASE("router: tokens that are not valid, no tokens, one expert") {
  Block logits = Block::random(3, 4, 1), bias(1, 4);
  const Routed r = route(logits, bias, {.experts = 4, .top_k = 2}, {1, 0, 1});
  CHECK(r.indices[2] == -1);
  CHECK(r.indices[3] == -1);
  CHECK(r.weights[2] == 0);
  CHECK(r.weights[3] == 0);
  CHECK(std::count(r.indices.begin(), r.indices.end(), -1) == 2);
  CHECK(r.weights[4] + r.weights[5] == approx(1.0));
  Block none(0, 4);
  CHECK(route(none, bias, {.experts = 4, .top_k = 2}).indices.empty());
  Block one(1, 1, {-3});
  CHECK(route(one, Block(1, 1), {.experts = 1, .top_k = 1}).weights[0] == approx(1.0));
}

TEST_CASE("router: NaN gives valid indices and NaN weights") {
  Block logits = Block::random(2, 8, 1), bias(1, 8);
  for (int e = 0; e < 8; ++e) logits(0, e) = std::numeric_limits<float>::quiet_NaN();
  logits(1, 5) = std::numeric_limits<float>::quiet_NaN();
  const Routed r = route(logits, bias, {.experts = 8, .top_k = 3, .groups = 4, .groups_kept = 2});
  for (const auto i : r.indices) CHECK((i >= 0 && i < 8));
  CHECK(r.indices[3] == 5);
  CHECK(std::isnan(r.weights[0]));
  CHECK(std::isnan(r.weights[3]));
}

TEST_CASE("router: 256 experts in 8 groups against a sort, and a replay gives the same bits") {
  const RouterConfig c{.experts = 256, .top_k = 8, .groups = 8, .groups_kept = 4, .scaling = 2.5f};
  const int tokens = 65;
  Block logits = Block::random(tokens, 256, 1, 3), bias = Block::random(1, 256, 2, 0, 0.1);
  const Routed r = route(logits, bias, c);
  for (int t = 0; t < tokens; ++t) {
    std::vector<float> choice;
    for (int e = 0; e < 256; ++e) choice.push_back(r.scores[static_cast<std::size_t>(t * 256 + e)] + bias.at(e));
    const auto order = [](const std::vector<float>& v) {
      std::vector<std::size_t> i(v.size());
      std::iota(i.begin(), i.end(), 0);
      std::stable_sort(i.begin(), i.end(), [&](auto a, auto b) { return v[a] > v[b]; });
      return i;
    };
    std::vector<float> group;
    for (int g = 0; g < 8; ++g) {
      std::vector<float> member(choice.begin() + g * 32, choice.begin() + (g + 1) * 32);
      std::sort(member.begin(), member.end(), std::greater<>());
      group.push_back(member[0] + member[1]);
    }
    const auto groups = order(group);
    for (std::size_t i = 4; i < 8; ++i)
      std::fill_n(choice.begin() + static_cast<std::ptrdiff_t>(groups[i] * 32), 32, 0.0f);
    const auto expected = order(choice);
    double sum = 0;
    for (std::size_t j = 0; j < 8; ++j) {
      REQUIRE(r.indices[static_cast<std::size_t>(t) * 8 + j] == static_cast<std::int32_t>(expected[j]));
      sum += double{r.weights[static_cast<std::size_t>(t) * 8 + j]};
    }
    CHECK(sum == approx(2.5));
  }
  Block scores(tokens, 256), weights(tokens, 8);
  Indices indices = r.indices, one = r.indices;
  indices[0] = indices[1] = indices[2] = indices[3] = indices[4] = indices[5] = indices[6] = indices[7] = -1;
  router_replay({}, logits, ints(indices, tokens, 8), c, scores, weights);
  CHECK(scores.floats() == r.scores);
  for (int i = 0; i < tokens * 8; ++i) CHECK(weights.at(i) == (i < 8 ? 0.0f : r.weights[static_cast<std::size_t>(i)]));
  // A choice taken away leaves the weights of the others to sum to the scaling.
  one[3] = -1;
  router_replay({}, logits, ints(one, tokens, 8), c, scores, weights);
  double rest = 0;
  for (int j = 0; j < 8; ++j) rest += double{weights(0, j)};
  CHECK(weights(0, 3) == 0);
  CHECK(rest == approx(2.5));
}

TEST_CASE("router: impossible configurations and indices are refused") {
  Block logits(1, 6), bias(1, 6);
  CHECK_THROWS_AS(route(logits, bias, {.experts = 6, .top_k = 7}), eddy::Error);
  CHECK_THROWS_AS(route(logits, bias, {.experts = 6, .top_k = 2, .groups = 4}), eddy::Error);
  CHECK_THROWS_AS(route(logits, bias, {.experts = 6, .top_k = 2, .groups = 2, .groups_kept = 3}), eddy::Error);
  Block scores(1, 6), weights(1, 2);
  Indices indices{0, 6};
  CHECK_THROWS_WITH(router_replay({}, logits, ints(indices, 1, 2), {.experts = 6, .top_k = 2}, scores, weights),
                    "router_replay: 'indices'[1] is 6, outside [0, 6) and not -1");
}
