#include "model/head.h"

#include <algorithm>
#include <cmath>

#include "kernels/cross_entropy/cross_entropy.h"
#include "kernels/embedding/embedding.h"
#include "kernels/gemm/gemm.h"

namespace eddy::model {
using namespace kernels;  // NOLINT
using tensor::Tensor;
using tensor::View;

Tensor embed(const Context& ctx, const Parameter& table, View ids) {
  Tensor full({ids.rows(), ctx.config.hidden_size});
  embedding(ctx.stream, table.value, ids, table.info.begin[0], full);
  return scatter_tokens(ctx, std::move(full));
}

void embed_backward(const Context& ctx, const Parameter& table, View ids, View d) {
  if (!table.grad) return;
  const Tensor full = ctx.tp() > 1 ? gather_tokens(ctx, d) : Tensor();
  embedding_backward(ctx.stream, full ? full.view() : d, ids, table.info.begin[0], table.grad);
}

namespace {

/// Reduces a chunk's row statistics over TP and returns its loss sum; leaves the global maximum and sum in place.
double reduce_chunk(const Context& ctx, View logits, View labels, std::int64_t vocab_begin, View row_max, View sums) {
  comm::Communicator& tp = *ctx.groups.tp;
  const std::int64_t n = logits.rows();
  cross_entropy_max(ctx.stream, logits, row_max);
  tp.all_reduce(row_max.data, static_cast<std::size_t>(n), Dtype::f32, comm::Reduce::max);
  const View sum_exp = sums.row_range(0, n), target = sums.row_range(n, 2 * n);
  cross_entropy_sums(ctx.stream, logits, labels, vocab_begin, row_max, sum_exp, target);
  tp.all_reduce(sums.data, static_cast<std::size_t>(2 * n), Dtype::f32, comm::Reduce::sum);
  double loss = 0;
  for (std::int64_t i = 0; i < n; ++i)
    if (labels.i32()[i] >= 0) loss += std::log(static_cast<double>(sum_exp.f32()[i])) - target.f32()[i];
  return loss;
}

}  // namespace

HeadResult head_loss(const Context& ctx, const Parameter& head, View x, View labels, bool train, double scale,
                     const LogitsSink& sink) {
  const Tensor gathered = ctx.tp() > 1 ? gather_tokens(ctx, x) : Tensor();
  const View all = gathered ? gathered.view() : x;  // [T, hidden]
  const std::int64_t tokens = all.rows(), chunk = std::min(ctx.options.head_chunk, tokens), vocab = head.value.rows();
  HeadResult result;
  Tensor d_all = train ? Tensor(all.shape) : Tensor();
  Tensor buffer({chunk, vocab}), row_max({chunk}), sums({2 * chunk});
  for (std::int64_t begin = 0; begin < tokens; begin += chunk) {
    const std::int64_t end = std::min(begin + chunk, tokens), n = end - begin;
    const View logits = buffer.view().row_range(0, n), some = all.row_range(begin, end),
               wanted = labels.row_range(begin, end);
    linear(ctx.stream, some, head.value, logits);
    if (sink) sink(begin, logits);
    result.loss_sum += reduce_chunk(ctx, logits, wanted, head.info.begin[0], row_max.view().row_range(0, n),
                                    sums.view().row_range(0, 2 * n));
    if (!train) continue;
    cross_entropy_backward(ctx.stream, logits, wanted, head.info.begin[0], row_max.view().row_range(0, n),
                           sums.view().row_range(0, n), static_cast<float>(scale));
    linear_backward_input(ctx.stream, logits, head.value, d_all.view().row_range(begin, end));
    if (head.grad) linear_backward_weight(ctx.stream, logits, some, head.grad);
  }
  if (train) result.d_x = scatter_tokens(ctx, std::move(d_all));
  return result;
}

}  // namespace eddy::model
