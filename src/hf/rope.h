#pragma once
// Rotary position embedding as a configuration asks for it: plain (Su et al. 2021) or YaRN (Peng et al. 2023), with
// transformers' arithmetic (modeling_rope_utils: _compute_yarn_parameters).
#include <vector>

#include "hf/config.h"

namespace eddy::hf {

struct RopeFrequencies {
  /// [qk_rope_head_dim / 2] radians a position. Rounded to float32 step by step as transformers does: at position 10^5
  /// the rounding of an inverse frequency turns by a hundredth of a radian, and the published weights have seen it.
  std::vector<double> inverse_frequency;
  double magnitude = 1;  ///< factor on cos and sin
};

RopeFrequencies rope_frequencies(const ModelConfig& config);

/// YaRN's 0.1 · weight · ln(factor) + 1, and 1 for factors up to 1.
double yarn_mscale(double factor, double weight);

}  // namespace eddy::hf
