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
  Block logits(1, 3, {0, std::log(2.0f), 0}), statistics(1, 3);
  Labels labels{1};
  cross_entropy_statistics({}, logits, ints(labels), 0, statistics.flat());
  CHECK(statistics.at(0) == std::log(2.0f));
  CHECK(statistics.at(1) == approx(2.0));
  CHECK(statistics.at(2) == std::log(2.0f));
  cross_entropy_backward({}, logits, ints(labels), 0, statistics.flat(), 4);
  CHECK(distance(logits.doubles(), {1, -2, 1}) < 2 * kUlp);
}

TEST_CASE("cross_entropy_join by hand: the greater maximum, the sums scaled to it, the label's logit") {
  // two tokens, two parts: maxima, sums, labels' logits
  Block parts(1, 12, {1, -5, 2, 3, 0.5f, 0, 2, -5, 4, 1, 0, -7}), whole(1, 6);
  cross_entropy_join({}, parts.flat().reshape({2, 6}), whole.flat().reshape({3, 2}));
  CHECK(distance(whole.doubles(), {2, -5, 2 * std::exp(-1.0) + 4, 4, 0.5, -7}) < 2 * kUlp);
}

TEST_CASE("cross_entropy_loss by hand: counted tokens only, added to what is there") {
  Block statistics(1, 9, {3, 9, 1, 2, 1, 4, 4, 0, 0.5f});  // maxima, sums, labels' logits
  Labels labels{7, -1, 0}, none;
  double loss = 10;
  const View out(&loss, Dtype::f64, {1});
  cross_entropy_loss({}, ints(labels), statistics.flat(), out);
  CHECK(loss == approx(10 + std::log(2.0) - 1 + std::log(4.0) + 0.5).epsilon(1e-15));
  Block empty(1, 0);
  cross_entropy_loss({}, ints(none), empty.flat(), out);
  CHECK(loss == approx(9.5 + std::log(8.0)).epsilon(1e-15));
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
      const auto part = [&](int p) {
        return all.view().col_range(begin[static_cast<std::size_t>(p)], begin[static_cast<std::size_t>(p) + 1]);
      };
      Block own(1, parts * 3 * tokens), whole(1, 3 * tokens);
      for (int p = 0; p < parts; ++p)
        cross_entropy_statistics({}, part(p), ints(labels), begin[static_cast<std::size_t>(p)],
                                 own.flat().row_range(p * 3 * tokens, (p + 1) * 3 * tokens));
      cross_entropy_join({}, own.flat().reshape({parts, 3 * tokens}), whole.flat().reshape({3, tokens}));
      double total = 0;
      cross_entropy_loss({}, ints(labels), whole.flat(), View(&total, Dtype::f64, {1}));
      CHECK(total == approx(loss(full, labels)).epsilon(1e-6).margin(1e-6));
      for (int p = 0; p < parts; ++p)
        cross_entropy_backward({}, part(p), ints(labels), begin[static_cast<std::size_t>(p)], whole.flat(), 0.5f);
      Doubles expected = finite_differences([&](const Doubles& x) { return 0.5 * loss(x, labels); }, full);
      CHECK(distance(all.doubles(), expected) < 8 * kUlp);
      for (int v = 0; v < vocab; ++v) CHECK(all(2, v) == 0);
    }
}

TEST_CASE("cross_entropy: large logits do not overflow, NaN and infinity show, minus infinity counts for nothing") {
  const float infinity = std::numeric_limits<float>::infinity();
  Block logits(4, 2, {1e30f, 1e30f, infinity, 0, std::numeric_limits<float>::quiet_NaN(), 0, -infinity, -infinity});
  Block statistics(1, 12);
  Labels labels{0, 0, 0, 0};
  cross_entropy_statistics({}, logits, ints(labels), 0, statistics.flat());
  CHECK(statistics.at(0) == 1e30f);
  CHECK(statistics.at(4) == 2);
  CHECK(statistics.at(8) == 1e30f);
  CHECK(std::isnan(statistics.at(5)));
  CHECK(std::isnan(statistics.at(6)));
  CHECK(statistics.at(7) == 0);
  // beside a part that has something
  Block parts(1, 6, {-infinity, 0, -infinity, 1, 3, 1}), whole(1, 3);
  cross_entropy_join({}, parts.flat().reshape({2, 3}), whole.flat().reshape({3, 1}));
  CHECK(whole.at(0) == 1);
  CHECK(whole.at(1) == 3);
}
