#include "generate/sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "base/rng.h"

namespace eddy::generate {

std::int32_t next_token(std::span<const float> logits, const Sampling& s, std::uint64_t position) {
  if (logits.empty()) fail_run("no logits to choose a token from");
  for (const float l : logits)
    if (std::isnan(l)) fail_run("the model's logits hold NaN: its weights are damaged or did not train");
  const auto best = std::max_element(logits.begin(), logits.end());
  if (s.greedy) return static_cast<std::int32_t>(best - logits.begin());

  std::vector<std::int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](auto a, auto b) {
    const float x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
    return x != y ? x > y : a < b;
  });
  std::vector<double> weight(logits.size());
  double total = 0;
  for (std::size_t i = 0; i < order.size(); ++i)
    total += weight[i] =
        std::exp((static_cast<double>(logits[static_cast<std::size_t>(order[i])]) - *best) / s.temperature);
  double kept = 0;
  std::size_t n = 0;
  while (n < order.size() && kept < s.top_p * total) kept += weight[n++];
  const double draw = uniform01(philox(s.seed, position)[0]) * kept;
  double below = 0;
  for (std::size_t i = 0; i < n; ++i)
    if ((below += weight[i]) > draw) return order[i];
  return order[n - 1];
}

}  // namespace eddy::generate
