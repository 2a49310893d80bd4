// The router on the GPU: scores, weights and gradients against the CPU. Its choices are compared with a sort of its own
// scores, since the last bit of a score may turn a choice.
#include "kernels/router/router.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "base/error.h"
#include "gpu_test.h"

using namespace eddy_test;      // NOLINT
using namespace eddy::kernels;  // NOLINT
using GpuStream = eddy::device::Stream;

namespace {

constexpr Dtype f = Dtype::f32, h = Dtype::bf16;
constexpr std::int64_t kTokens = 67, kGap = 3;

View inner(const Tensor& t, std::int64_t gap = kGap) {
  return t.view().col_range(gap, t.shape()[1] - gap);
}
Tensor filled(const Shape& shape, float value) {
  Tensor t(shape);
  std::fill_n(t.f32(), t.view().numel(), value);
  return t;
}
Tensor filled_ints(const Shape& shape, std::int32_t value) {
  Tensor t(shape, Dtype::i32);
  std::fill_n(t.i32(), t.view().numel(), value);
  return t;
}

std::vector<RouterConfig> configs() {
  return {{.experts = 256, .top_k = 8, .groups = 8, .groups_kept = 4, .scaling = 2.5f},
          {.experts = 384, .top_k = 8, .scaling = 2.8f},
          {.experts = 512, .top_k = 32, .groups = 32, .groups_kept = 5, .normalize = false},
          {.experts = 64, .top_k = 6, .sigmoid = false, .noaux = false, .normalize = false, .scaling = 1},
          {.experts = 160, .top_k = 6, .groups = 8, .groups_kept = 3, .sigmoid = false, .noaux = false},
          {.experts = 9, .top_k = 3, .groups = 3, .groups_kept = 2},
          {.experts = 6, .top_k = 6, .groups = 6, .groups_kept = 1},
          {.experts = 33, .top_k = 1},
          {.experts = 1, .top_k = 1}};
}
std::string text(const RouterConfig& c) {
  return "top " + std::to_string(c.top_k) + " of " + std::to_string(c.experts) + ", " + std::to_string(c.groups_kept) +
         " of " + std::to_string(c.groups) + " groups";
}

std::vector<int> order_of(const std::vector<float>& v) {
  std::vector<int> order(v.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return v[static_cast<std::size_t>(a)] > v[static_cast<std::size_t>(b)]; });
  return order;
}
/// What the router must choose for scores [experts].
std::vector<int> choice_of(const float* scores, const float* bias, const RouterConfig& c) {
  std::vector<float> choice(scores, scores + c.experts);
  for (int e = 0; e < c.experts; ++e)
    if (c.noaux) choice[static_cast<std::size_t>(e)] += bias[e];
  if (c.groups > 1) {
    const int size = c.experts / c.groups;
    std::vector<float> groups;
    for (int g = 0; g < c.groups; ++g) {
      std::vector<float> members(choice.begin() + g * size, choice.begin() + (g + 1) * size);
      std::sort(members.begin(), members.end(), std::greater<>());
      groups.push_back(c.noaux && size > 1 ? members[0] + members[1] : members[0]);
    }
    const auto order = order_of(groups);
    for (auto g = static_cast<std::size_t>(c.groups_kept); g < order.size(); ++g)
      std::fill_n(choice.begin() + order[g] * size, size, 0.0f);
  }
  auto order = order_of(choice);
  order.resize(static_cast<std::size_t>(c.top_k));
  return order;
}

/// Logits in a wider matrix; `coarse` ones take few values, so that many scores tie.
Tensor make_logits(const RouterConfig& c, bool coarse) {
  Tensor logits = random_tensor({kTokens, c.experts + 2 * kGap}, 1, f, 2);
  for (std::int64_t i = 0; coarse && i < logits.view().numel(); ++i) logits.f32()[i] = std::round(logits.f32()[i] / 2);
  return logits;
}

}  // namespace

TEST_CASE("GPU router: scores, choices, weights") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const auto& c : configs())
    for (const bool coarse : {false, true}) {
      INFO(text(c) << (coarse ? ", with ties" : ""));
      const Tensor logits = make_logits(c, coarse);
      Tensor bias = coarse ? filled({c.experts}, 0) : random_tensor({c.experts}, 2, f, 0.3f);
      const Tensor expected = filled({kTokens, c.experts + 2 * kGap}, 777), weights = filled({kTokens, c.top_k}, 0);
      const Tensor indices = filled_ints({kTokens, c.top_k}, -7);
      const Tensor scores_there = upload(*gpu, expected), indices_there = upload(*gpu, indices),
                   weights_there = upload(*gpu, filled({kTokens, c.top_k}, NAN));
      Tensor valid({kTokens}, Dtype::u8);
      for (std::int64_t t = 0; t < kTokens; ++t) valid.view().as<std::uint8_t>()[t] = t % 5 != 2;
      const Tensor logits_there = upload(*gpu, logits), bias_there = upload(*gpu, bias),
                   valid_there = upload(*gpu, valid);
      router({}, inner(logits), bias, valid, c, inner(expected), indices, weights);
      router(*gpu, inner(logits_there), bias_there, valid_there, c, inner(scores_there), indices_there, weights_there);
      const Tensor scores = download(*gpu, scores_there), w = download(*gpu, weights_there),
                   chosen = eddy::tensor::to_host(*gpu, indices_there);
      CHECK(relative_error(scores, expected) < tolerance(f));
      for (std::int64_t t = 0; t < kTokens; ++t) {
        const float* own = scores.f32() + t * (c.experts + 2 * kGap) + kGap;
        const auto choice = choice_of(own, bias.f32(), c);
        double sum = 0;
        for (int j = 0; j < c.top_k; ++j) sum += double{own[choice[static_cast<std::size_t>(j)]]};
        for (int j = 0; j < c.top_k; ++j) {
          INFO("token " << t << ", choice " << j);
          const int e = choice[static_cast<std::size_t>(j)];
          if (!valid.view().as<std::uint8_t>()[t]) {
            CHECK(chosen.i32()[t * c.top_k + j] == -1);
            CHECK(w.f32()[t * c.top_k + j] == 0);
          } else {
            REQUIRE(chosen.i32()[t * c.top_k + j] == e);
            const double weight = double{own[e]} / (c.normalize ? sum + 1e-20 : 1) * double{c.scaling};
            CHECK(double{w.f32()[t * c.top_k + j]} == approx(weight).epsilon(1e-6));
          }
        }
      }
    }
}

TEST_CASE("GPU router: masked experts score 0; without a bias; NaN gives valid indices") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  const RouterConfig c{.experts = 4, .top_k = 2, .groups = 2, .groups_kept = 1};
  Tensor logits({3, 4}), bias({4});
  const float values[] = {2, 0, -1, -1, NAN, NAN, NAN, NAN, 1, 2, 0, NAN}, biases[] = {5, -3, -2, -2};
  std::copy_n(values, 12, logits.f32());
  std::copy_n(biases, 4, bias.f32());
  const Tensor scores({3, 4}, f, *gpu), weights({3, 2}, f, *gpu), indices({3, 2}, Dtype::i32, *gpu);
  const Tensor there = upload(*gpu, logits);
  router(*gpu, there, upload(*gpu, bias), {}, c, scores, indices, weights);
  const Tensor biased = eddy::tensor::to_host(*gpu, indices);
  CHECK(biased.i32()[0] == 0);
  CHECK(biased.i32()[1] == 2);  // a masked 0 beats the kept group's 0.5 - 3
  for (int i = 2; i < 6; ++i) CHECK((biased.i32()[i] >= 0 && biased.i32()[i] < 4));
  CHECK(biased.i32()[4] == 3);
  CHECK(std::isnan(download(*gpu, weights).f32()[2]));
  router(*gpu, there, {}, {}, c, scores, indices, weights);
  const Tensor plain = eddy::tensor::to_host(*gpu, indices);
  CHECK(plain.i32()[0] == 0);
  CHECK(plain.i32()[1] == 1);
}

TEST_CASE("GPU router_replay and router_backward") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const auto& c : configs()) {
    INFO(text(c));
    const Tensor logits = make_logits(c, false), indices = filled_ints({kTokens, c.top_k}, -1);
    std::mt19937 engine(11);
    for (std::int64_t t = 0; t < kTokens; ++t)
      for (int j = 0; j < c.top_k; ++j)  // distinct, some of them none
        if (engine() % 8 != 0 && t % 9 != 4)
          indices.i32()[t * c.top_k + j] = static_cast<int>((t * 5 + j * (c.experts / c.top_k)) % c.experts);
    const Tensor scores = filled({kTokens, c.experts + 2 * kGap}, 777), weights = filled({kTokens, c.top_k}, 777);
    const Tensor scores_there = upload(*gpu, scores), weights_there = upload(*gpu, weights),
                 logits_there = upload(*gpu, logits), indices_there = upload(*gpu, indices);
    router_replay({}, inner(logits), indices, c, inner(scores), weights);
    router_replay(*gpu, inner(logits_there), indices_there, c, inner(scores_there), weights_there);
    CHECK(relative_error(download(*gpu, scores_there), scores) < tolerance(f));
    CHECK(relative_error(download(*gpu, weights_there), weights) < tolerance(f));

    const Tensor dweights = random_tensor({kTokens, c.top_k}, 3), dscores = random_tensor(scores.shape(), 4);
    const Tensor dweights_there = upload(*gpu, dweights), dscores_there = upload(*gpu, dscores),
                 cpu_scores = upload(*gpu, scores);
    for (const auto dtype : {f, h})
      for (const bool extra : {false, true}) {
        INFO(name_of(dtype) << (extra ? ", with dscores" : ""));
        const Tensor dlogits = filled(scores.shape(), 0), there = upload(*gpu, filled(scores.shape(), 776), dtype);
        router_backward({}, dweights, inner(scores), indices, extra ? inner(dscores) : View{}, c, inner(dlogits));
        router_backward(*gpu, dweights_there, inner(cpu_scores), indices_there, extra ? inner(dscores_there) : View{},
                        c, inner(there));
        const Tensor got = download(*gpu, there);
        bool untouched = true;
        Tensor actual({kTokens, c.experts}), expected({kTokens, c.experts});
        for (std::int64_t i = 0; i < got.view().numel(); ++i) {
          const std::int64_t t = i / got.shape()[1], e = i % got.shape()[1] - kGap;
          if (e < 0 || e >= c.experts) {
            untouched = untouched && got.f32()[i] == 776;
          } else {
            actual.f32()[t * c.experts + e] = got.f32()[i];
            expected.f32()[t * c.experts + e] = dlogits.f32()[i];
          }
        }
        CHECK(untouched);
        // One expert, normalised: the exact gradient is 0, and what is left of rounding has no norm to compare with.
        const bool zero = c.experts == 1 && !extra;
        const double error = zero ? std::abs(double{actual.f32()[0]}) : relative_error(actual, expected);
        CHECK(error < 4 * tolerance(dtype));
      }
  }
}

TEST_CASE("GPU router: no tokens; what a GPU has no room for is refused") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  const RouterConfig c{.experts = 8, .top_k = 2};
  const Tensor none({0, 8}, f, *gpu), no_indices({0, 2}, Dtype::i32, *gpu), no_weights({0, 2}, f, *gpu);
  router(*gpu, none, {}, {}, c, none, no_indices, no_weights);
  router_replay(*gpu, none, no_indices, c, none, no_weights);
  router_backward(*gpu, no_weights, none, no_indices, {}, c, none);
  const Tensor logits({1, 513}, f, *gpu), indices({1, 2}, Dtype::i32, *gpu), weights({1, 2}, f, *gpu);
  CHECK_THROWS_WITH(router(*gpu, logits, {}, {}, {.experts = 513, .top_k = 2}, logits, indices, weights),
                    "router: top 2 of 513 experts in 1 groups; a GPU routes to up to 32 of 512 in 32 groups");
  CHECK_THROWS_AS(router(*gpu, logits, {}, {}, {.experts = 8, .top_k = 9}, logits, indices, weights), eddy::Error);
  CHECK_THROWS_AS(router(*gpu, logits, {}, {}, c, logits, indices, weights), eddy::Error);
}
