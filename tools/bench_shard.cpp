#include "bench_shard.h"

#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/log.h"
#include "base/options.h"
#include "base/rng.h"
#include "shard/sampler.h"
#include "shard/writer.h"

using namespace eddy;
namespace fs = std::filesystem;

namespace {

/// A dataset of its own for the benchmark, removed at the end: documents of 100 to 100,000 tokens, log-uniform, as
/// papers, abstracts and question-answer pairs are.
class MadeDataset {
 public:
  explicit MadeDataset(std::uint64_t tokens) {
    std::string name = (fs::temp_directory_path() / "eddy-bench-shard-XXXXXX").string();
    if (!mkdtemp(name.data())) fail_run("cannot make a folder like {}", name);
    path_ = name;
    shard::DatasetWriter writer(path_, 0, 129280);
    std::uint64_t made = 0;
    for (std::uint64_t i = 0; made < tokens; ++i) {
      const Philox w = philox(1, i);
      std::vector<std::uint32_t> ids(static_cast<std::size_t>(100 * std::pow(1000.0, uniform01(w[0]))));
      for (std::size_t t = 0; t < ids.size(); ++t) ids[t] = static_cast<std::uint32_t>(mix(i, t) % 129280);
      made += ids.size();
      const std::uint32_t prompt = w[1] % 4 == 0 ? static_cast<std::uint32_t>(ids.size() / 4) : 0;
      writer.add(shard::Split::train, std::move(ids), prompt);
    }
    writer.finish(std::uint64_t{16} << 20);
  }
  ~MadeDataset() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  MadeDataset(const MadeDataset&) = delete;
  MadeDataset& operator=(const MadeDataset&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

template <class F>
double seconds(F body) {
  const auto begin = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

int bench_shard(const std::vector<std::string>& arguments) {
  std::string dir;
  std::int64_t seq_len = 4096;
  std::uint64_t tokens = std::uint64_t{32} << 20;
  int passes = 5;
  bool json = false;
  Options options("eddy-bench shard", "[--dir DIR] [--json]",
                  "Speed of reading packed rows beside memcpy of the same bytes.");
  options.add("dir", &dir, "directory of shards; default: one made for the benchmark");
  options.add("seq-len", &seq_len, "tokens a row", {.min = 2});
  options.add("tokens", &tokens, "size of the dataset made, tokens", {.min = 1e5});
  options.add("passes", &passes, "each way; the best counts", {.min = 1});
  options.add("json", &json, "print one JSON object", {.command_line_only = true});
  if (!options.parse(arguments)) return 0;

  std::unique_ptr<MadeDataset> made;
  if (dir.empty()) {
    log::info("makes a dataset of {} tokens", tokens);
    made = std::make_unique<MadeDataset>(tokens);
    dir = made->path().string();
  }
  std::unique_ptr<shard::Sampler> sampler;
  const double open_s = seconds([&] {
    sampler = std::make_unique<shard::Sampler>(std::vector<shard::Source>{{dir, 0}}, shard::Split::train,
                                               shard::SamplerConfig{.seq_len = seq_len, .seed = 1, .vocab_size = 0});
  });
  const std::uint64_t rows = sampler->rows();
  const auto row_bytes = static_cast<std::size_t>(seq_len) * (sizeof(std::int32_t) + sizeof(std::uint8_t));

  // The same bytes copied row by row from one buffer: what a reader without packing, masks and checks could reach.
  std::vector<char> from(row_bytes * rows, 1), to(row_bytes);
  shard::PackedRow row;
  double read_s = 1e300, copy_s = 1e300;
  std::uint64_t sum = 0;  // keeps the compiler from leaving the copies out
  for (int pass = 0; pass < passes; ++pass) {
    read_s = std::min(read_s, seconds([&] {
                        for (std::uint64_t r = 0; r < rows; ++r) {
                          sampler->row(r, 0, row);
                          sum += static_cast<std::uint64_t>(row.ids[r % row.ids.size()]) + row.loss[0];
                        }
                      }));
    copy_s = std::min(copy_s, seconds([&] {
                        for (std::uint64_t r = 0; r < rows; ++r) {
                          std::memcpy(to.data(), from.data() + r * row_bytes, row_bytes);
                          sum += static_cast<std::uint64_t>(to[r % row_bytes]);
                        }
                      }));
  }
  const double bytes = static_cast<double>(row_bytes) * static_cast<double>(rows);
  const nlohmann::ordered_json result{{"rows", rows},
                                      {"seq_len", seq_len},
                                      {"open_s", open_s},
                                      {"filled", static_cast<double>(sampler->tokens_per_epoch()) /
                                                     (static_cast<double>(rows) * static_cast<double>(seq_len))},
                                      {"rows_per_s", static_cast<double>(rows) / read_s},
                                      {"read_gb_per_s", bytes / read_s / 1e9},
                                      {"memcpy_gb_per_s", bytes / copy_s / 1e9},
                                      {"read_over_memcpy", copy_s / read_s},
                                      {"checksum", sum}};
  if (json) {
    std::printf("%s\n", result.dump().c_str());
  } else {
    std::printf("%llu rows of %lld tokens, %.2f%% filled, opened, verified and packed in %.2f s\n",
                static_cast<unsigned long long>(rows), static_cast<long long>(seq_len),
                100 * result["filled"].get<double>(), open_s);
    std::printf(
        "reading rows %.0f rows/s, %.2f GB/s; memcpy %.2f GB/s; reading is %.0f%% of memcpy (goal: at least 50%%)\n",
        result["rows_per_s"].get<double>(), result["read_gb_per_s"].get<double>(),
        result["memcpy_gb_per_s"].get<double>(), 100 * result["read_over_memcpy"].get<double>());
  }
  return 0;
}
