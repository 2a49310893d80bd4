#pragma once
// A run of eddy-train in a folder of its own, and what is in its checkpoints.
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
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

/// Every tensor of a checkpoint.
inline std::map<std::string, std::vector<float>> contents(const std::filesystem::path& path) {
  const eddy::checkpoint::Checkpoint checkpoint(path);
  std::map<std::string, std::vector<float>> out;
  for (const auto& t : checkpoint.tensors()) {
    std::int64_t n = 1;
    for (const auto d : t.shape) n *= d;
    auto& values = out[t.name];
    values.resize(static_cast<std::size_t>(n));
    checkpoint.read({t.name,
                     t.shape,
                     std::vector<std::int64_t>(t.shape.size(), 0),
                     {values.data(), t.dtype, eddy::tensor::Shape(t.shape)}});
  }
  return out;
}

}  // namespace eddy_test
