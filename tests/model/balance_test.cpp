// The balance loss's gradient against finite differences of its own formula.
#include "model/balance.h"

#include <cmath>

#include "catch.h"
#include "tiny_model.h"

using namespace eddy;
using tensor::Tensor;

TEST_CASE("gradient of the sequence-level balance loss") {
  const auto config = eddy_test::tiny_config();
  const auto groups = parallel::make_groups(eddy_test::session().world(), {});
  model::StageOptions options;
  options.balance_loss = 0.7;
  const model::Context ctx(config, groups, options);
  const eddy_test::TinyRow first(6, {4, 2}, 0), second(6, {5}, 1);
  const model::Row rows[] = {first.row(), second.row()};
  const auto batch = model::make_micro_batch(rows, 61, 128, 1);
  const std::int64_t experts = config.n_routed_experts, k = config.top_k, tokens = batch.tokens;
  Tensor scores({tokens, experts}), indices({tokens, k}, Dtype::i32);
  for (std::int64_t i = 0; i < tokens * experts; ++i)
    scores.f32()[i] = 0.1f + 0.07f * static_cast<float>((i * 37) % 11);
  for (std::int64_t t = 0; t < tokens; ++t)
    for (std::int64_t j = 0; j < k; ++j)
      indices.i32()[t * k + j] =
          t == 11 ? -1 : static_cast<std::int32_t>((t * t + 3 * j) % experts);  // token 11 is padding

  // α Σ_i f_i P_i of each row, in double.
  const auto loss = [&](const std::vector<double>& s) {
    double sum = 0;
    for (std::size_t r = 0; r < 2; ++r) {
      std::vector<double> f(static_cast<std::size_t>(experts), 0), p(static_cast<std::size_t>(experts), 0);
      double n = 0;
      for (auto t = batch.row_begin[r]; t < batch.row_begin[r + 1]; ++t) {
        if (indices.i32()[t * k] < 0) continue;
        ++n;
        double total = 0;
        for (std::int64_t e = 0; e < experts; ++e) total += s[static_cast<std::size_t>(t * experts + e)];
        for (std::int64_t e = 0; e < experts; ++e)
          p[static_cast<std::size_t>(e)] += s[static_cast<std::size_t>(t * experts + e)] / total;
        for (std::int64_t j = 0; j < k; ++j) ++f[static_cast<std::size_t>(indices.i32()[t * k + j])];
      }
      for (std::size_t e = 0; e < f.size(); ++e)
        sum += 0.7 * (static_cast<double>(experts) / (static_cast<double>(k) * n)) * f[e] * p[e] / n;
    }
    return sum;
  };
  std::vector<double> at(scores.f32(), scores.f32() + tokens * experts);
  const Tensor share = model::balance_share(ctx, batch, indices);
  const Tensor grad = model::balance_backward(ctx, batch, scores, indices, share, 2.0);
  double largest = 0;
  for (std::size_t i = 0; i < at.size(); ++i) {
    const double h = 1e-6, keep = at[i];
    at[i] = keep + h;
    const double up = loss(at);
    at[i] = keep - h;
    const double down = loss(at);
    at[i] = keep;
    CHECK(static_cast<double>(grad.f32()[i]) == approx(2 * (up - down) / (2 * h)).margin(1e-7).epsilon(1e-4));
    largest = std::max(largest, std::abs(static_cast<double>(grad.f32()[i])));
  }
  CHECK(largest > 1e-3);
}
