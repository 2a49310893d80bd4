#pragma once
// Hugging Face's tensors and Eddy's. They have the same names but for two kinds: Eddy stacks a layer's experts
// (…mlp.experts.gate_up_proj [experts, 2 × width, hidden] with the gate's rows first, …mlp.experts.down_proj
// [experts, hidden, width]), and the multi-token-prediction layer's copies of embedding and head are the main model's.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hf/config.h"

namespace eddy::hf {

/// A tensor of the model, in file order.
struct NamedShape {
  std::string name;
  std::vector<std::int64_t> shape;
  bool always_f32 = false;  ///< e_score_correction_bias
};

/// All of a model's tensors by Hugging Face's names; with_mtp adds layer num_layers; mtp_copies its own embed_tokens
/// and shared_head.head.
std::vector<NamedShape> expected_tensors(const ModelConfig& config, bool with_mtp, bool mtp_copies);
/// The same model by Eddy's names.
std::vector<NamedShape> eddy_tensors(const ModelConfig& config, bool with_mtp);

/// Where a tensor of Hugging Face's lies in Eddy's: a block of the tensor `name`.
struct Placement {
  std::string name;
  std::vector<std::int64_t> shape;          ///< of the whole tensor
  std::vector<std::int64_t> begin, extent;  ///< of the block, whose elements are in the same order
};
Placement placement(const ModelConfig& config, const NamedShape& tensor);
/// Where the FP8 scales of a matrix of Hugging Face's lie: a block of "<Eddy's name of the matrix>_scale_inv". The
/// scales of stacked experts are stacked alike: …gate_up_proj_scale_inv [experts, 2 × blocks of width, blocks of
/// hidden] (the up projection's blocks begin with its own first row), …down_proj_scale_inv [experts, blocks, blocks].
Placement scale_placement(const ModelConfig& config, const NamedShape& matrix);

/// Hugging Face's name of the multi-token-prediction layer's copy of embedding or head, for the main model's name;
/// nothing for other tensors.
std::optional<std::string> mtp_copy_of(const ModelConfig& config, const std::string& main_name);

}  // namespace eddy::hf
