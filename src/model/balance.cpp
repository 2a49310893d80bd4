#include "model/balance.h"

#include <algorithm>

namespace eddy::model {
using tensor::Tensor;
using tensor::View;

namespace {

/// Calls f(token of this rank, its row) for every token that was routed.
template <class F>
void for_routed(const Context& ctx, const MicroBatch& batch, View indices, F f) {
  const std::int64_t own = indices.rows(), k = indices.shape[1], first = own * ctx.tp_rank();
  for (std::int64_t t = 0; t < own; ++t) {
    if (indices.i32()[t * k] < 0) continue;
    const auto after = std::upper_bound(batch.row_begin.begin(), batch.row_begin.end(), first + t);
    f(t, static_cast<std::int64_t>(after - batch.row_begin.begin()) - 1);
  }
}
std::int64_t rows_of(const MicroBatch& batch) {
  return static_cast<std::int64_t>(batch.row_begin.size()) - 1;
}

}  // namespace

Tensor balance_share(const Context& ctx, const MicroBatch& batch, View chosen) {
  const Tensor indices_on_host = tensor::to_host(ctx.stream, chosen);
  const View indices = indices_on_host;
  const std::int64_t rows = rows_of(batch), experts = ctx.config.n_routed_experts, k = indices.shape[1];
  std::vector<std::int64_t> counts(static_cast<std::size_t>(rows * (experts + 1)),
                                   0);  // the last of each row: its tokens
  for_routed(ctx, batch, indices, [&](std::int64_t t, std::int64_t row) {
    std::int64_t* c = counts.data() + row * (experts + 1);
    for (std::int64_t j = 0; j < k; ++j) ++c[indices.i32()[t * k + j]];
    ++c[experts];
  });
  ctx.groups.tp->all_reduce(counts.data(), counts.size(), Dtype::i64, comm::Reduce::sum);
  Tensor share = Tensor::zeros({rows, experts});
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t* c = counts.data() + r * (experts + 1);
    const double n = static_cast<double>(c[experts]);
    for (std::int64_t e = 0; n > 0 && e < experts; ++e)
      share.f32()[r * experts + e] = static_cast<float>(ctx.options.balance_loss * static_cast<double>(experts) /
                                                        (static_cast<double>(k) * n) * static_cast<double>(c[e]) / n);
  }
  return tensor::to_device(ctx.stream, share);
}

Tensor balance_backward(const Context& ctx, const MicroBatch& batch, View scores_there, View indices_there,
                        View share_there, double scale) {
  const Tensor held[] = {tensor::to_host(ctx.stream, scores_there), tensor::to_host(ctx.stream, indices_there),
                         tensor::to_host(ctx.stream, share_there)};
  const View scores = held[0], indices = held[1], share = held[2];
  const std::int64_t experts = ctx.config.n_routed_experts;
  Tensor grad = Tensor::zeros(scores.shape);
  for_routed(ctx, batch, indices, [&](std::int64_t t, std::int64_t row) {
    const float *s = scores.f32() + t * experts, *f = share.f32() + row * experts;
    double total = 0, dot = 0;
    for (std::int64_t e = 0; e < experts; ++e) {
      total += s[e];
      dot += static_cast<double>(s[e]) * f[e];
    }
    for (std::int64_t e = 0; e < experts; ++e)
      grad.f32()[t * experts + e] = static_cast<float>(scale * (f[e] - dot / total) / total);
  });
  return tensor::to_device(ctx.stream, grad);
}

}  // namespace eddy::model
