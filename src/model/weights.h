#pragma once
// The parameters of each layer, looked up once in the store.
#include <optional>
#include <string>

#include "hf/config.h"
#include "parallel/parameter_store.h"

namespace eddy::model {
using parallel::Parameter;

struct AttentionWeights {
  const Parameter *q_a = nullptr, *q_a_norm = nullptr;  ///< null without q-LoRA
  const Parameter* q_b = nullptr;                       ///< q_b_proj, or q_proj without q-LoRA
  const Parameter *kv_a, *kv_a_norm, *kv_b, *o;
};
struct MlpWeights {
  const Parameter *gate, *up, *down;
};
struct MoeWeights {
  const Parameter *gate, *bias /* null without noaux_tc */, *gate_up, *down;
  std::optional<MlpWeights> shared;
};
struct LayerWeights {
  const Parameter *input_norm, *post_norm;
  AttentionWeights attention;
  std::optional<MlpWeights> mlp;  ///< exactly one of mlp and moe
  std::optional<MoeWeights> moe;
};
struct MtpWeights {
  const Parameter *enorm, *hnorm, *eh_proj, *norm;
  LayerWeights layer;
};

LayerWeights layer_weights(const hf::ModelConfig& config, const parallel::ParameterStore& store, int layer);
MtpWeights mtp_weights(const hf::ModelConfig& config, const parallel::ParameterStore& store);

}  // namespace eddy::model
