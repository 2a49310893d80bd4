#pragma once
// A run's folder: config.ini, metrics.jsonl, checkpoints/step-NNNNNNNN/, log/, and a lock while the run lives.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hf/scales.h"

namespace eddy::train {

struct RunDir {
  std::filesystem::path root;

  std::filesystem::path config() const { return root / "config.ini"; }
  std::filesystem::path metrics() const { return root / "metrics.jsonl"; }
  std::filesystem::path checkpoints() const { return root / "checkpoints"; }
  std::filesystem::path checkpoint(std::int64_t step) const;
  std::filesystem::path log() const { return root / "log"; }
  std::filesystem::path lock() const { return root / "lock"; }
  /// The FP8 scales of the model that the run began with, where it had any; goes into each checkpoint.
  std::filesystem::path scales() const { return root / hf::kScalesFile; }

  /// Makes the folders. Throws Error (status 2) naming the one that cannot be made.
  void create() const;
  /// The checkpoint that a run with this checkpoint.resume goes on from; none: from the beginning. Throws Error (status
  /// 2): a path without a checkpoint; never, where checkpoints lie; a path, where later checkpoints lie.
  std::optional<std::filesystem::path> find_resume(const std::string& resume) const;
  struct Resume {
    std::optional<std::filesystem::path> from;
    /// Newer ones that cannot be opened and any that have lost their manifest, with what is wrong; newest first.
    std::vector<std::pair<std::filesystem::path, std::string>> damaged;
  };
  /// The same, but with auto the newest whose manifest is whole and whose files are there. Throws Error (status 2) also
  /// when there are checkpoints and none can be opened.
  Resume choose_resume(const std::string& resume) const;
  /// The newest checkpoint before this one that can be opened, if any.
  std::optional<std::filesystem::path> before(const std::filesystem::path& checkpoint) const;
  /// Before a run's first step: keeps config.ini, and moves what an earlier attempt left there, and its metrics after
  /// `step`, to log/. `attempt` tells this start from others (a time).
  void begin(std::int64_t step, const std::string& config_ini, const std::string& attempt) const;
};

}  // namespace eddy::train
