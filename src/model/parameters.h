#pragma once
// Which layers a pipeline stage has, and every parameter of a rank: pure functions of configuration, layout and rank.
#include <vector>

#include "hf/config.h"
#include "parallel/parameter.h"

namespace eddy::model {

/// Contiguous decoder layers a stage; the embedding is on the first, final norm, head and MTP on the last.
struct StagePlan {
  struct Range {
    int first = 0, last = 0;  ///< layers [first, last)
  };
  std::vector<Range> stages;
  bool mtp = false;  ///< the last stage holds the MTP layer (and, with several stages, a copy of the embedding)
};
/// Minimises the costliest stage (forward FLOPs a token at `seq_len`: head and MTP count on the last one); every stage
/// has a layer.
StagePlan plan_stages(const hf::ModelConfig& config, int pp, bool mtp, std::int64_t seq_len);

/// What of the model limits a layout (for parallel::validate).
parallel::Divisors divisors(const hf::ModelConfig& config);

/// Every parameter of `rank`, with its slice, in a fixed order. Names are Hugging Face's, a layer's experts stacked:
/// …mlp.experts.gate_up_proj [E, 2·width, hidden] (gate rows first), …mlp.experts.down_proj [E, hidden, width].
/// `dtype`: storage of all but the router's bias, which stays float32.
std::vector<parallel::ParameterInfo> stage_parameters(const hf::ModelConfig& config, const parallel::Layout& layout,
                                                      int rank, const StagePlan& plan, Dtype dtype = Dtype::f32);
/// Every parameter of the model, once, unsliced (layout of one rank).
std::vector<parallel::ParameterInfo> all_parameters(const hf::ModelConfig& config, bool mtp);

/// Forward FLOPs of one token at sequence length `seq_len` by the formula of docs/numerics.md (6 × active matrix
/// parameters / 3 …).
double forward_flops_per_token(const hf::ModelConfig& config, bool mtp, std::int64_t seq_len);
/// The same by stage: what of it each does.
std::vector<double> stage_flops_per_token(const hf::ModelConfig& config, const StagePlan& plan, std::int64_t seq_len);

}  // namespace eddy::model
