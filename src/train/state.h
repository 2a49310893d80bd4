#pragma once
// A run's state in a checkpoint: what stands beside the tensors.
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
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

/// A checkpoint that turned out, while it was loaded, not to be what its manifest says.
class Unloadable : public Error {
 public:
  explicit Unloadable(const Error& e) : Error(e) {}
};

/// What a checkpoint's manifest says of a run. `data_hash`: of the shards that it trains on.
nlohmann::json describe(const ModelChoice& choice, const Config& config, const Progress& progress, std::int64_t updates,
                        std::uint64_t tokenizer_hash, std::uint64_t data_hash, const nlohmann::json& bits);
/// Of the files of all shards of data.train, as their manifests state them.
std::uint64_t data_hash(const Config& config);

/// Reads parameters, moments and progress of `checkpoint` into the engine; every rank reads its own blocks, whatever
/// layout wrote them. Rank 0 says where the run differs from what wrote it (data order, bits). Throws Error (status 2)
/// for a checkpoint without optimizer state, with moments of another type, or of shards with another tokenizer;
/// Unloadable, on every rank, for a damaged one: the engine's state is then a mixture. Collective.
Progress resume(const std::filesystem::path& checkpoint, const Config& config, std::uint64_t tokenizer_hash,
                std::uint64_t data_hash, const nlohmann::json& bits, Engine& engine);

}  // namespace eddy::train
