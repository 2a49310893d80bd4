#include "train/run_dir.h"

#include "base/error.h"
#include "base/log.h"
#include "checkpoint/checkpoint.h"
#include "io/file.h"
#include "train/metrics.h"

namespace eddy::train {
namespace fs = std::filesystem;

fs::path RunDir::checkpoint(std::int64_t step) const {
  return checkpoints() / fmt::format("step-{:08}", step);
}

void RunDir::create() const {
  for (const auto& folder : {root, checkpoints(), log()}) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) fail_input("run.dir: the folder {} cannot be made: {}", folder.string(), error.message());
  }
}

std::optional<fs::path> RunDir::find_resume(const std::string& resume) const {
  const auto own = fs::is_directory(checkpoints()) ? checkpoint::list(checkpoints()) : std::vector<fs::path>();
  if (resume == "auto") return own.empty() ? std::nullopt : std::optional(own.back());
  if (resume == "never") {
    if (!own.empty())
      fail_input(
          "checkpoint.resume = never, but {} holds {} checkpoint(s), the newest {}: a fresh run needs another run.dir, "
          "or "
          "remove them",
          root.string(), own.size(), own.back().filename().string());
    return {};
  }
  if (!checkpoint::is_checkpoint(resume))
    fail_input("checkpoint.resume = {}: there is no checkpoint; allowed: auto, never, or a checkpoint's folder",
               resume);
  std::error_code ignored;
  const fs::path asked = fs::weakly_canonical(resume, ignored);
  if (!own.empty() && fs::weakly_canonical(own.back(), ignored) != asked)
    fail_input(
        "checkpoint.resume = {}: {} holds checkpoints of its own, the newest {}: go on from that with "
        "checkpoint.resume = auto, or give another run.dir",
        resume, root.string(), own.back().filename().string());
  return asked;
}

void RunDir::begin(std::int64_t step, const std::string& config_ini, const std::string& attempt) const {
  if (fs::exists(config()) && io::read_file(config()) != config_ini)
    fs::rename(config(), log() / fmt::format("config-before-{}.ini", attempt));
  io::write_file(config(), config_ini);
  move_lines_after(step, metrics(), log() / fmt::format("metrics-after-{:08}-{}.jsonl", step, attempt));
}

}  // namespace eddy::train
