#include "kernels/cross_entropy/cross_entropy.h"

#include <algorithm>
#include <limits>

#include "catch.h"
#include "values.h"

using namespace eddy_test;
using namespace eddy::kernels;
using Labels = std::vector<std::int32_t>;

namespace {
/// Σ_t of (log Σ exp - logit of the label) over counted tokens, in double.
double loss(const Doubles& logits, const Labels& labels) {
  const std::size_t vocab = logits.size() / labels.size();
  double sum = 0;
  for (std::size_t t = 0; t < labels.size(); ++t) {
    if (labels[t] < 0) continue;
    double total = 0;
    for (std::size_t v = 0; v < vocab; ++v) total += std::exp(logits[t * vocab + v]);
    sum += std::log(total) - logits[t * vocab + static_cast<std::size_t>(labels[t])];
  }
  return sum;
}
}  // namespace

TEST_CASE("cross_entropy by hand") {
  Block logits(1, 3, {0, std::log(2.0f), 0}), max(1, 1), sum(1, 1), target(1, 1);
  Labels labels{1};
  cross_entropy_max({}, logits, max.flat());
  cross_entropy_sums({}, logits, ints(labels), 0, max.flat(), sum.flat(), target.flat());
  CHECK(max.at(0) == std::log(2.0f));
  CHECK(sum.at(0) == approx(2.0));
  CHECK(target.at(0) == 0);
  cross_entropy_backward({}, logits, ints(labels), 0, max.flat(), sum.flat(), 4);
  CHECK(distance(logits.doubles(), {1, -2, 1}) < 2 * kUlp);
}

TEST_CASE("cross_entropy_loss by hand: counted tokens only, added to what is there") {
  Block sums(1, 3, {2, 1, 4}), targets(1, 3, {-1, 9, 0.5f});
  Labels labels{7, -1, 0}, none;
  double loss = 10;
  const View out(&loss, Dtype::f64, {1});
  cross_entropy_loss({}, ints(labels), sums.flat(), targets.flat(), out);
  CHECK(loss == approx(10 + std::log(2.0) + 1 + std::log(4.0) - 0.5).epsilon(1e-15));
  Block empty(1, 0);
  cross_entropy_loss({}, ints(none), empty.flat(), empty.flat(), out);
  CHECK(loss == approx(10.5 + std::log(8.0)).epsilon(1e-15));
}

TEST_CASE("cross_entropy: parts of the vocabulary, joined as the ranks join them, give the loss and its gradient") {
  for (const int vocab : {1, 7, 65, 130})
    for (const int parts : {1, 3}) {
      const int tokens = 5;
      Labels labels{0, vocab - 1, -1, vocab / 2, vocab - 1};
      Block all = Block::random(tokens, vocab, 1, 0, 3);
      const Doubles full = all.doubles();
      std::vector<int> begin{0};
      for (int p = 1; p <= parts; ++p) begin.push_back(vocab * p / parts);  // unequal parts, empty for vocab 1
      Block max(1, tokens, 0, -std::numeric_limits<float>::infinity()), sum(1, tokens), target(1, tokens);
      const auto part = [&](int p) {
        return all.view().col_range(begin[static_cast<std::size_t>(p)], begin[static_cast<std::size_t>(p) + 1]);
      };
      for (int p = 0; p < parts; ++p) {
        Block own(1, tokens);
        cross_entropy_max({}, part(p), own.flat());
        for (int t = 0; t < tokens; ++t) max.at(t) = std::max(max.at(t), own.at(t));
      }
      for (int p = 0; p < parts; ++p) {
        Block own_sum(1, tokens), own_target(1, tokens);
        cross_entropy_sums({}, part(p), ints(labels), begin[static_cast<std::size_t>(p)], max.flat(), own_sum.flat(),
                           own_target.flat());
        for (int t = 0; t < tokens; ++t) {
          sum.at(t) += own_sum.at(t);
          target.at(t) += own_target.at(t);
        }
      }
      double total = 0;
      cross_entropy_loss({}, ints(labels), sum.flat(), target.flat(), View(&total, Dtype::f64, {1}));
      CHECK(total == approx(loss(full, labels)).epsilon(1e-6).margin(1e-6));
      CHECK(target.at(2) == 0);
      for (int p = 0; p < parts; ++p)
        cross_entropy_backward({}, part(p), ints(labels), begin[static_cast<std::size_t>(p)], max.flat(), sum.flat(),
                               0.5f);
      Doubles expected = finite_differences([&](const Doubles& x) { return 0.5 * loss(x, labels); }, full);
      CHECK(distance(all.doubles(), expected) < 8 * kUlp);
      for (int v = 0; v < vocab; ++v) CHECK(all(2, v) == 0);
    }
}

TEST_CASE("cross_entropy: large logits do not overflow, NaN and infinity show") {
  const float infinity = std::numeric_limits<float>::infinity();
  Block logits(3, 2, {1e30f, 1e30f, infinity, 0, std::numeric_limits<float>::quiet_NaN(), 0});
  Block max(1, 3), sum(1, 3), target(1, 3);
  Labels labels{0, 0, 0};
  cross_entropy_max({}, logits, max.flat());
  cross_entropy_sums({}, logits, ints(labels), 0, max.flat(), sum.flat(), target.flat());
  CHECK(sum.at(0) == 2);
  CHECK(target.at(0) == 0);
  CHECK(std::isnan(sum.at(1)));
  CHECK(std::isnan(sum.at(2)));
}
