#pragma once
// Which model is trained, and where its first weights come from: settled before any memory is taken.
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "checkpoint/model_source.h"
#include "train/engine.h"
#include "train/options.h"

namespace eddy::train {

struct ModelChoice {
  hf::ModelConfig config;
  std::string name;                               ///< for people: where the configuration came from
  std::optional<checkpoint::ModelSource> source;  ///< none: random
  bool mtp = false;                               ///< multi-token prediction is trained
  bool init_mtp = false;                          ///< its first weights are random, as the source has none
  bool mtp_copies = false;  ///< the source has copies of embedding and head for it (kept for export)
};

/// For a fresh run. Throws Error (status 2) for files that are missing or damaged, and for train.mtp = on where the
/// weights have no such layer.
ModelChoice choose_model(const ModelOptions& options, const std::string& mtp);
/// For a run that goes on from `checkpoint`; model.config, where given, must agree with it.
ModelChoice choose_resumed(const ModelOptions& options, const std::string& mtp,
                           const std::filesystem::path& checkpoint);

/// Keys of config.json in which two models differ, "rope_theta (10000 → 50000)"; what does not change the model is left
/// out.
std::string differences(const hf::ModelConfig& from, const hf::ModelConfig& to);

/// Fills the engine's parameters: from the source, or at random by `seed`.
void load_weights(const ModelChoice& choice, Engine& engine, std::uint64_t seed);

}  // namespace eddy::train
