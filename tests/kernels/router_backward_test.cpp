#include <algorithm>

#include "catch.h"
#include "kernels/router/router.h"
#include "values.h"

using namespace eddy_test;
using namespace eddy::kernels;

namespace {
/// Scores [T, E], then weights [T, k], for given choices, in double.
Doubles reference(const Doubles& logits, const std::vector<std::int32_t>& indices, const RouterConfig& c) {
  const auto experts = static_cast<std::size_t>(c.experts), k = static_cast<std::size_t>(c.top_k);
  const std::size_t tokens = logits.size() / experts;
  Doubles out(tokens * (experts + k));
  for (std::size_t t = 0; t < tokens; ++t) {
    double* s = out.data() + t * experts;
    double total = 0;
    for (std::size_t e = 0; e < experts; ++e) {
      const double x = logits[t * experts + e];
      s[e] = c.sigmoid ? 1 / (1 + std::exp(-x)) : std::exp(x);
      total += s[e];
    }
    for (std::size_t e = 0; e < experts && !c.sigmoid; ++e) s[e] /= total;
    if (indices[t * k] < 0) continue;
    double sum = 1e-20;
    for (std::size_t j = 0; j < k; ++j) sum += s[indices[t * k + j]];
    for (std::size_t j = 0; j < k; ++j)
      out[tokens * experts + t * k + j] = s[indices[t * k + j]] / (c.normalize ? sum : 1) * double{c.scaling};
  }
  return out;
}
}  // namespace

TEST_CASE("router: gradients against finite differences, with and without a gradient of the scores") {
  for (const bool sigmoid : {true, false})
    for (const bool normalize : {true, false})
      for (const int tokens : {0, 1, 7})
        for (const bool with_scores : {true, false}) {
          const RouterConfig c{.experts = 9, .top_k = 3, .sigmoid = sigmoid, .normalize = normalize, .scaling = 2.5f};
          Block logits = Block::random(tokens, 9, 1), bias(1, 9), scores(tokens, 9, 2), weights(tokens, 3);
          Block dweights = Block::random(tokens, 3, 2), dscores = Block::random(tokens, 9, 3, 1),
                dlogits(tokens, 9, 3, 5);
          std::vector<std::uint8_t> valid(static_cast<std::size_t>(tokens), 1);
          if (tokens > 2) valid[2] = 0;
          std::vector<std::int32_t> indices(static_cast<std::size_t>(tokens) * 3);
          router({}, logits, bias.flat(), bytes(valid), c, scores, ints(indices, tokens, 3), weights);
          router_backward({}, dweights, scores, ints(indices, tokens, 3), with_scores ? dscores.view() : View{}, c,
                          dlogits);
          Doubles factor = with_scores ? dscores.doubles() : Doubles(static_cast<std::size_t>(tokens) * 9);
          const Doubles dw = dweights.doubles();
          factor.insert(factor.end(), dw.begin(), dw.end());
          const Doubles expected = finite_differences(
              [&](const Doubles& x) { return dot(reference(x, indices, c), factor); }, logits.doubles());
          INFO("sigmoid " << sigmoid << " normalize " << normalize << " tokens " << tokens << " dscores "
                          << with_scores);
          // differences of terms of order scaling · dw: some ulp of those
          CHECK(distance(dlogits.doubles(), expected) < 16 * kUlp);
          CHECK(dlogits.gaps_untouched());
          if (tokens > 2 && !with_scores)
            for (int e = 0; e < 9; ++e) CHECK(dlogits(2, e) == 0);  // the token that is not valid
        }
}
