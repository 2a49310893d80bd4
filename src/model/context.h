#pragma once
// What every layer of a stage needs besides its weights and activations.
#include "device/stream.h"
#include "hf/config.h"
#include "kernels/rope/rope.h"
#include "kernels/router/router.h"
#include "model/stage.h"
#include "parallel/groups.h"
#include "tensor/tensor.h"

namespace eddy::model {

struct Context {
  const hf::ModelConfig& config;
  const parallel::Groups& groups;
  StageOptions options;
  device::Stream stream;
  kernels::RopeTable rope;
  float attention_scale = 1;
  kernels::RouterConfig router;
  float eps = 1e-6f;
  /// Of q_a_layernorm and kv_a_layernorm: the published code never passes rms_norm_eps to them.
  float latent_eps = 1e-6f;

  Context(const hf::ModelConfig& c, const parallel::Groups& g, const StageOptions& o, const device::Stream& s = {});

  /// An activation: of the options' type, where the stream runs.
  tensor::Tensor make(const tensor::Shape& shape) const { return {shape, options.dtype, stream}; }
  tensor::Tensor make(const tensor::Shape& shape, Dtype dtype) const { return {shape, dtype, stream}; }

  int tp() const { return groups.layout.tp; }
  int tp_rank() const { return groups.at.tp; }
  /// Attention heads of this rank.
  int heads() const { return config.num_heads / tp(); }
};

// Sequence parallelism: between blocks each TP rank holds T / TP consecutive tokens.
/// [t, W] of each TP rank → [T, W].
tensor::Tensor gather_tokens(const Context& ctx, tensor::View local);
/// [T, W] partial sums → this rank's [t, W].
tensor::Tensor scatter_tokens(const Context& ctx, tensor::Tensor full);
/// x · W^T [T, W] of this rank's part of the inner dimension → summed, this rank's [t, W], plus residual [t, W].
tensor::Tensor project_out(const Context& ctx, tensor::View x, tensor::View weight, tensor::View residual);
/// This rank's part of a per-token vector [T].
tensor::View local_tokens(const Context& ctx, tensor::View full);

}  // namespace eddy::model
