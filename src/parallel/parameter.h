#pragma once
// What a rank must know of each of its parameters. LoRA, ZeRO, clipping, checkpoints and conversion read this and
// nothing else.
#include <string>
#include <utility>
#include <vector>

#include "device/stream.h"
#include "parallel/mesh.h"
#include "tensor/slice.h"

namespace eddy::parallel {

struct ParameterInfo {
  std::string name;  ///< Hugging Face's name; a layer's experts are stacked (…mlp.experts.gate_up_proj)
  std::vector<std::int64_t> global_shape;
  std::vector<std::int64_t> begin;   ///< this rank's block: first index in each axis
  std::vector<std::int64_t> extent;  ///< and its size
  Dtype dtype = Dtype::f32;          ///< storage in the forward pass
  /// Ranks that hold the same block, over which its gradient is summed: dp (split over TP), stage (replicated over TP,
  /// each TP rank sees its own tokens), edp (experts).
  Group replicas = Group::stage;
  bool trainable = true;   ///< false: a buffer (router bias) or frozen: no gradient, no optimizer state
  bool decay = true;       ///< weight decay applies (matrices)
  bool tied_copy = false;  ///< the last stage's copy of the embedding: not counted, not saved
  int layer = -1;          ///< decoder layer, for layer-wise rates; -1: embedding; layers: head and final norm

  std::int64_t numel() const;  ///< of this rank's block
  std::int64_t global_numel() const;
};

/// A parameter in memory, where its store's stream runs.
struct Parameter {
  ParameterInfo info;
  tensor::View value;  ///< [extent] of info.dtype
  tensor::View grad;   ///< [extent] float32, or empty when not trainable
  /// Nothing has been written to `grad` since the step began: what lies there counts as zero. A flag instead of zeros
  /// spares writing and reading each gradient once a step.
  mutable bool grad_fresh = false;

  /// What a product that adds to `grad` multiplies the old one with: 0 the first time in a step, then 1.
  float grad_beta() const { return std::exchange(grad_fresh, false) ? 0.f : 1.f; }
  /// `grad` for a kernel that can only add: zeroed first where nothing was written yet. Empty when not trainable.
  tensor::View grad_sum(const device::Stream& stream) const;

  tensor::Slice slice() const { return {info.name, info.global_shape, info.begin, value}; }
};

}  // namespace eddy::parallel
