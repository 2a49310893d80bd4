#include "train/run_dir.h"

#include <algorithm>

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

namespace {
/// What is wrong with a checkpoint as far as opening shows; empty: nothing.
std::string trouble(const fs::path& path) {
  try {
    const checkpoint::Checkpoint opened(path);
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}
}  // namespace

RunDir::Resume RunDir::choose_resume(const std::string& resume) const {
  Resume choice{find_resume(resume), {}};
  while (resume == "auto" && choice.from) {
    const std::string what = trouble(*choice.from);
    if (what.empty()) break;
    choice.damaged.emplace_back(*choice.from, what);
    choice.from.reset();
    for (const fs::path& older : checkpoint::list(checkpoints()))
      if (older < choice.damaged.back().first) choice.from = older;
  }
  if (resume == "auto") {
    for (const fs::path& path : checkpoint::without_manifest(checkpoints()))
      choice.damaged.emplace_back(path, fmt::format("{} is missing", (path / "manifest.json").string()));
    std::sort(choice.damaged.rbegin(), choice.damaged.rend());
  }
  if (!choice.from && !choice.damaged.empty())
    fail_input(
        "{} holds {} checkpoint(s), and none can be opened; the newest: {}. To begin again from step 0, give another "
        "run.dir",
        root.string(), choice.damaged.size(), choice.damaged.front().second);
  return choice;
}

std::optional<fs::path> RunDir::before(const fs::path& newer) const {
  const auto all = checkpoint::list(checkpoints());
  for (auto it = all.rbegin(); it != all.rend(); ++it)
    if (*it < newer && trouble(*it).empty()) return *it;
  return {};
}

void RunDir::begin(std::int64_t step, const std::string& config_ini, const std::string& attempt) const {
  if (fs::exists(config()) && io::read_file(config()) != config_ini)
    fs::rename(config(), log() / fmt::format("config-before-{}.ini", attempt));
  io::write_file(config(), config_ini);
  move_lines_after(step, metrics(), log() / fmt::format("metrics-after-{:08}-{}.jsonl", step, attempt));
}

}  // namespace eddy::train
