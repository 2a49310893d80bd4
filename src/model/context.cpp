#include "model/context.h"

#include "hf/rope.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/gemm/gemm.h"

namespace eddy::model {
using tensor::Tensor;
using tensor::View;

Context::Context(const hf::ModelConfig& c, const parallel::Groups& g, const StageOptions& o, const device::Stream& s)
    : config(c), groups(g), options(o), stream(s) {
  const auto frequencies = hf::rope_frequencies(c);
  rope = {frequencies.inverse_frequency, frequencies.magnitude};
  attention_scale = static_cast<float>(c.attention_scale());
  eps = static_cast<float>(c.rms_norm_eps);
  router.experts = c.n_routed_experts;
  router.top_k = c.top_k;
  router.groups = c.topk_method == "greedy" ? 1 : c.n_group;
  router.groups_kept = c.topk_method == "greedy" ? 1 : c.topk_group;
  router.sigmoid = c.sigmoid_scoring;
  router.noaux = c.topk_method == "noaux_tc";
  router.normalize = c.norm_topk_prob;
  router.scaling = static_cast<float>(c.routed_scaling_factor);
}

Tensor gather_tokens(const Context& ctx, View local) {
  Tensor full = ctx.make({local.rows() * ctx.tp(), local.cols()}, local.dtype);
  ctx.groups.tp->all_gather(local.data, full.view().data, static_cast<std::size_t>(local.numel()), local.dtype,
                            ctx.stream);
  return full;
}
Tensor scatter_tokens(const Context& ctx, Tensor full) {
  if (ctx.tp() == 1) return full;
  Tensor local = ctx.make({full.shape()[0] / ctx.tp(), full.shape()[1]});
  ctx.groups.tp->reduce_scatter(full.view().data, local.view().data, static_cast<std::size_t>(local.view().numel()),
                                ctx.options.dtype, ctx.stream);
  return local;
}
Tensor project_out(const Context& ctx, View x, View weight, View residual) {
  Tensor out = ctx.make({x.rows(), weight.rows()});
  if (ctx.tp() == 1) {
    kernels::gemm(ctx.stream, x, false, weight, true, out, 1, 1, residual);
    return out;
  }
  kernels::linear(ctx.stream, x, weight, out);
  Tensor own = scatter_tokens(ctx, std::move(out));
  kernels::add(ctx.stream, residual, own);
  return own;
}
View local_tokens(const Context& ctx, View full) {
  const std::int64_t t = full.rows() / ctx.tp();
  return full.row_range(t * ctx.tp_rank(), t * (ctx.tp_rank() + 1));
}

}  // namespace eddy::model
