#pragma once
// A run's state in a checkpoint: what stands beside the tensors.
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "train/engine.h"
#include "train/model_choice.h"

namespace eddy::train {

struct Progress {
  std::int64_t step = 0;     ///< steps done, skipped ones included
  std::int64_t tokens = 0;   ///< positions of rows trained
  std::int64_t skipped = 0;  ///< steps whose loss or gradient was not finite
};

/// What decides a run's bits, beside its options: compared on resume.
/// `device`: the GPU's name; empty for the CPU.
nlohmann::json fingerprint(const parallel::Layout& layout, int threads, const std::string& device, Dtype dtype);

/// What a checkpoint's manifest says of a run.
nlohmann::json describe(const ModelChoice& choice, const Config& config, const Progress& progress, std::int64_t updates,
                        std::uint64_t tokenizer_hash, const nlohmann::json& bits);

/// Reads parameters, moments and progress of `checkpoint` into the engine; every rank reads its own blocks, whatever
/// layout wrote them. Rank 0 says where the run differs from what wrote it (data order, bits). Throws Error (status 2)
/// for a checkpoint without optimizer state, damaged, or of shards with another tokenizer. Collective.
Progress resume(const std::filesystem::path& checkpoint, const Config& config, std::uint64_t tokenizer_hash,
                const nlohmann::json& bits, Engine& engine);

}  // namespace eddy::train
