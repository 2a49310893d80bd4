#include "model/head.h"

#include <algorithm>

#include "kernels/cross_entropy/cross_entropy.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/embedding/embedding.h"
#include "kernels/gemm/gemm.h"

namespace eddy::model {
using namespace kernels;  // NOLINT
using tensor::Tensor;
using tensor::View;

Tensor embed(const Context& ctx, const Parameter& table, View ids) {
  Tensor full = ctx.make({ids.rows(), ctx.config.hidden_size});
  embedding(ctx.stream, table.value, ids, table.info.begin[0], full);
  return scatter_tokens(ctx, std::move(full));
}

void embed_backward(const Context& ctx, const Parameter& table, View ids, View d) {
  if (!table.grad) return;
  const Tensor full = ctx.tp() > 1 ? gather_tokens(ctx, d) : Tensor();
  embedding_backward(ctx.stream, full ? full.view() : d, ids, table.info.begin[0], table.grad_sum(ctx.stream));
}

namespace {

/// A chunk's statistics [3, n] over the whole vocabulary, of which each TP rank has a part.
Tensor statistics_of(const Context& ctx, View logits, View labels, std::int64_t vocab_begin) {
  const std::int64_t n = logits.rows();
  Tensor own = ctx.make({3, n}, Dtype::f32);
  cross_entropy_statistics(ctx.stream, logits, labels, vocab_begin, own);
  if (ctx.tp() == 1) return own;
  const Tensor parts = ctx.make({ctx.tp(), 3, n}, Dtype::f32);
  ctx.groups.tp->all_gather(own.f32(), parts.f32(), static_cast<std::size_t>(3 * n), Dtype::f32, ctx.stream);
  cross_entropy_join(ctx.stream, parts, own);
  return own;
}

/// For the sink: float32 in host memory.
Tensor shown(const Context& ctx, View logits) {
  if (logits.dtype == Dtype::f32) return tensor::to_host(ctx.stream, logits);
  const Tensor wide = ctx.make(logits.shape, Dtype::f32);
  copy(ctx.stream, logits, wide);
  return tensor::to_host(ctx.stream, wide);
}

}  // namespace

Tensor head_loss(const Context& ctx, const Parameter& head, View x, View labels, bool train, double scale, View loss,
                 const LogitsSink& sink) {
  const Tensor gathered = ctx.tp() > 1 ? gather_tokens(ctx, x) : Tensor();
  const View all = gathered ? gathered.view() : x;  // [T, hidden]
  const std::int64_t tokens = all.rows(), chunk = std::min(ctx.options.head_chunk, tokens), vocab = head.value.rows();
  Tensor d_all = train ? ctx.make(all.shape) : Tensor();
  Tensor buffer = ctx.make({chunk, vocab});
  for (std::int64_t begin = 0; begin < tokens; begin += chunk) {
    const std::int64_t end = std::min(begin + chunk, tokens), n = end - begin;
    const View logits = buffer.view().row_range(0, n), some = all.row_range(begin, end),
               wanted = labels.row_range(begin, end);
    linear(ctx.stream, some, head.value, logits);
    if (sink) sink(begin, shown(ctx, logits));
    const Tensor statistics = statistics_of(ctx, logits, wanted, head.info.begin[0]);
    cross_entropy_loss(ctx.stream, wanted, statistics, loss);
    if (!train) continue;
    cross_entropy_backward(ctx.stream, logits, wanted, head.info.begin[0], statistics, static_cast<float>(scale));
    linear_backward_input(ctx.stream, logits, head.value, d_all.view().row_range(begin, end));
    if (head.grad) linear_backward_weight(ctx.stream, logits, some, head.grad, head.grad_beta());
  }
  buffer.reset();
  if (!train) return {};
  return scatter_tokens(ctx, std::move(d_all));
}

}  // namespace eddy::model
