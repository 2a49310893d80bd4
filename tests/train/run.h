#pragma once
// A run of eddy-train in a folder of its own.
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "contents.h"
#include "dataset.h"
#include "support.h"

namespace eddy_test {

struct Run {
  const TempDir temp;
  std::filesystem::path dir = temp / "run", data = temp / "data";
  Run() { write_counting(data, 400); }

  std::vector<std::string> command(const std::vector<std::string>& more) const {
    std::vector<std::string> argv{
        "eddy-train",         "--model.config=tiny",   "--data.train=" + data.string(), "--run.dir=" + dir.string(),
        "--train.seq_len=64", "--train.micro_batch=2", "--train.global_batch=8",        "--optim.schedule=constant",
        "--optim.lr=3e-3",    "--run.threads=1"};
    argv.insert(argv.end(), more.begin(), more.end());
    return argv;
  }
  RunResult start(const std::vector<std::string>& more, int ranks = 0) const { return run(command(more), ranks); }
  std::vector<nlohmann::json> metrics() const {
    std::vector<nlohmann::json> lines;
    std::istringstream in(read_file(dir / "metrics.jsonl"));
    for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
  }
  std::vector<std::string> checkpoints() const {
    std::vector<std::string> names;
    for (const auto& path : eddy::checkpoint::list(dir / "checkpoints")) names.push_back(path.filename().string());
    return names;
  }
};

}  // namespace eddy_test
