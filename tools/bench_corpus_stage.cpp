#include "bench_corpus_stage.h"

#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>
#include <thread>

#include "base/error.h"
#include "base/options.h"
#include "bench_corpus_minhash.h"
#include "comm/self_communicator.h"
#include "comm/session.h"
#include "io/file.h"
#include "shard/build.h"
#include "shard/output.h"
#include "tokenize/trainer.h"

using namespace eddy;
namespace fs = std::filesystem;
using nlohmann::ordered_json;

namespace {

/// As shard::build_sets names them; a rank that has done its part of one is in "wait".
constexpr std::array kPhases{"list", "open", "read", "gather", "duplicates", "plan", "lists", "write", "names", "wait"};
constexpr std::size_t kWait = kPhases.size() - 1;

/// What one rank spent on each phase.
struct Spent {
  std::array<double, kPhases.size()> wall{}, cpu{};  // seconds
  std::array<double, kPhases.size()> peak{};         // bytes of private memory
  double most() const { return *std::max_element(peak.begin(), peak.end()); }
};

double clock_s(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

/// Resident memory that is no file's: what the process has taken for itself.
double private_bytes() {
  std::ifstream in("/proc/self/statm");
  double size = 0, resident = 0, shared = 0;
  in >> size >> resident >> shared;
  return (resident - shared) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

/// Times the phases; a thread looks at the memory a thousand times a second.
class Meter {
 public:
  Meter() {
    malloc_trim(0);  // what an earlier build left
    looks_ = std::thread([this] {
      while (!end_) {
        const double now = private_bytes();
        if (double& peak = spent_.peak[phase_]; now > peak) peak = now;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    });
  }
  ~Meter() { stop(); }
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;

  void begin(const std::string& phase) {
    note();
    const auto found = std::find(kPhases.begin(), kPhases.end(), phase);
    phase_ = found == kPhases.end() ? kWait : static_cast<std::size_t>(found - kPhases.begin());
  }
  Spent stop() {
    end_ = true;
    if (looks_.joinable()) {
      looks_.join();
      note();
    }
    return spent_;
  }

 private:
  void note() {
    const double wall = clock_s(CLOCK_MONOTONIC), cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID);
    spent_.wall[phase_] += wall - wall_;
    spent_.cpu[phase_] += cpu - cpu_;
    wall_ = wall;
    cpu_ = cpu;
  }
  Spent spent_;
  std::atomic<std::size_t> phase_{kWait};
  std::atomic<bool> end_{false};
  double wall_ = clock_s(CLOCK_MONOTONIC), cpu_ = clock_s(CLOCK_PROCESS_CPUTIME_ID);
  std::thread looks_;
};

/// A folder that all ranks know, removed at the end by rank 0.
class SharedFolder {
 public:
  SharedFolder(comm::Communicator& world, const fs::path& in) : world_(world) {
    char name[1024] = {};
    const std::string pattern = (in / "eddy-bench-corpus-XXXXXX").string();
    if (pattern.size() >= sizeof name) fail_input("{}: too long a name", pattern);
    std::strncpy(name, pattern.c_str(), sizeof name - 1);
    if (world.rank() == 0 && !mkdtemp(name)) fail_run("cannot make a folder like {}", pattern);
    world.broadcast(name, sizeof name, Dtype::u8, 0);
    path_ = name;
  }
  ~SharedFolder() {
    std::error_code ignored;
    if (world_.rank() == 0) fs::remove_all(path_, ignored);
  }
  SharedFolder(const SharedFolder&) = delete;
  SharedFolder& operator=(const SharedFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  comm::Communicator& world_;
  fs::path path_;
};

/// Piece by piece: the bench's own memory shall not grow with the corpus.
void write_documents(const fs::path& path, std::uint64_t documents, std::uint64_t words) {
  io::AtomicFile file(path);
  std::string piece;
  for (std::uint64_t d = 0; d < documents; ++d) {
    piece += nlohmann::json{{"text", made_text(1000 + d, words)}}.dump() + "\n";
    if (piece.size() < (std::size_t{1} << 20) && d + 1 < documents) continue;
    file.write(piece);
    piece.clear();
  }
  file.commit();
}

std::string small_tokenizer() {
  tokenize::BpeTrainer trainer(4000);
  trainer.add(made_text(1, 200000));
  return trainer.finish();
}

Spent build(comm::Communicator& world, shard::BuildOptions o) {
  Meter meter;
  o.on_phase = [&](const char* phase) { meter.begin(phase); };
  shard::build_sets(world, o);
  meter.begin("wait");
  world.barrier();
  return meter.stop();
}

/// Every rank's, on all.
std::vector<Spent> share(comm::Communicator& world, const Spent& mine) {
  constexpr std::size_t n = sizeof(Spent) / sizeof(double);
  std::vector<Spent> all(static_cast<std::size_t>(world.size()));
  static_assert(sizeof(Spent) == n * sizeof(double));
  world.all_gather(reinterpret_cast<const std::uint8_t*>(&mine), reinterpret_cast<std::uint8_t*>(all.data()),
                   sizeof(Spent), Dtype::u8);
  return all;
}

double sum(const std::array<double, kPhases.size()>& seconds, bool with_wait) {
  double s = 0;
  for (std::size_t p = 0; p < kPhases.size(); ++p) s += p == kWait && !with_wait ? 0 : seconds[p];
  return s;
}
/// What the stage takes where every rank has a core of its own, by processor time: of phases whose work is dealt out as
/// ranks become free their mean (on a busy machine one may get little of it), of the others the busiest rank's.
double critical_path(const std::vector<Spent>& ranks) {
  double s = 0;
  for (std::size_t p = 0; p < kWait; ++p) {
    const std::string_view name = kPhases[p];
    double most = 0, all = 0;
    for (const Spent& r : ranks) {
      most = std::max(most, r.cpu[p]);
      all += r.cpu[p];
    }
    s += name == "read" || name == "write" ? all / static_cast<double>(ranks.size()) : most;
  }
  return s;
}

ordered_json to_json(const Spent& spent) {
  ordered_json j;
  for (std::size_t p = 0; p < kPhases.size(); ++p)
    j[kPhases[p]] = {{"wall_s", spent.wall[p]}, {"cpu_s", spent.cpu[p]}, {"peak_private_bytes", spent.peak[p]}};
  return j;
}

void print_phases(const Spent& alone, const std::vector<Spent>& all) {
  fmt::print("{:<12}{:>10}{:>10}", "seconds", "alone", "cpu");
  for (std::size_t r = 0; r < all.size(); ++r) fmt::print("{:>10}{:>10}", fmt::format("rank {}", r), "cpu");
  for (std::size_t p = 0; p < kPhases.size(); ++p) {
    fmt::print("\n{:<12}{:>10.3f}{:>10.3f}", kPhases[p], alone.wall[p], alone.cpu[p]);
    for (const Spent& r : all) fmt::print("{:>10.3f}{:>10.3f}", r.wall[p], r.cpu[p]);
  }
  fmt::print("\n{:<12}{:>10.3f}{:>10.3f}", "all", sum(alone.wall, true), sum(alone.cpu, false));
  for (const Spent& r : all) fmt::print("{:>10.3f}{:>10.3f}", sum(r.wall, true), sum(r.cpu, false));
  fmt::print("   (processor time without waiting)\n");
}

void print_memory(const std::vector<Spent>& all, const std::vector<Spent>& grown, std::uint64_t more) {
  for (std::size_t r = 0; r < all.size(); ++r) {
    fmt::print("rank {}: peak of private memory {:.1f} MB", r, all[r].most() / 1e6);
    if (!grown.empty())
      fmt::print(", of the larger corpus {:.1f} MB: {:.0f} bytes a document more", grown[r].most() / 1e6,
                 (grown[r].most() - all[r].most()) / static_cast<double>(more));
    fmt::print("\n");
  }
  if (grown.empty()) return;
  fmt::print("{:<12}", "peak, MB");
  for (std::size_t r = 0; r < all.size(); ++r) fmt::print("{:>10}{:>10}", fmt::format("rank {}", r), "larger");
  for (std::size_t p = 0; p < kPhases.size(); ++p) {
    fmt::print("\n{:<12}", kPhases[p]);
    for (std::size_t r = 0; r < all.size(); ++r)
      fmt::print("{:>10.1f}{:>10.1f}", all[r].peak[p] / 1e6, grown[r].peak[p] / 1e6);
  }
  fmt::print("\n");
}

}  // namespace

int bench_corpus_stage(const std::vector<std::string>& arguments) {
  std::uint64_t documents = 2000, words = 5000, growth = 1, shard_tokens = std::uint64_t{2} << 20,
                keys_at_once = shard::BuildOptions().keys_at_once;
  std::string tokenizer, input, where = fs::temp_directory_path().string();
  bool json = false;
  Options options("eddy-bench corpus-stage",
                  "[--input PATH] [--tokenizer FILE] [--growth N] [--json]   (under mpiexec -n N)",
                  "The whole of eddy-shard on all ranks beside one rank alone: read, screen, tokenize, MinHash, find "
                  "duplicates, write.");
  options.add("input", &input, "documents; default: made-up ones");
  options.add("tokenizer", &tokenizer, "tokenizer.json; default: one trained on made-up words");
  options.add("documents", &documents, "made-up documents", {.min = 1});
  options.add("words", &words, "words of each", {.min = 1});
  options.add("growth", &growth, "also so many times as many made-up documents, on all ranks, for the memory",
              {.min = 1});
  options.add(
      "folder", &where,
      "where documents and shards lie for the time; on a disk its syncs are measured, which ranks of one machine "
      "share: /dev/shm shows the ranks' own work");
  options.add("shard-tokens", &shard_tokens, "tokens a shard: few, so that there are shards for all ranks", {.min = 1});
  options.add("keys-at-once", &keys_at_once,
              "keys of duplicates that a rank holds, of 16 bytes: fewer for the memory of "
              "small corpora",
              {.min = 1});
  options.add("json", &json, "print one JSON object", {.command_line_only = true});
  if (!options.parse(arguments)) return 0;
  if (!input.empty() && growth > 1) fail_input("growth = {} is of made-up documents, not of input = {}", growth, input);

  comm::Session session;
  session.set_timeout(0);
  comm::Communicator& world = session.world();
  const SharedFolder folder(world, where);
  const auto made = [&](const char* name, std::uint64_t n) {
    if (world.rank() == 0) write_documents(folder.path() / name, n, words);
    world.barrier();
    return (folder.path() / name).string();
  };
  if (input.empty()) input = made("in.jsonl", documents);
  if (world.rank() == 0)
    io::write_file(folder.path() / "tokenizer.json", tokenizer.empty() ? small_tokenizer() : io::read_file(tokenizer));
  world.barrier();
  shard::BuildOptions o;
  o.inputs = {input};
  o.tokenizer = folder.path() / "tokenizer.json";
  o.out = folder.path() / "alone";
  o.shard_tokens = shard_tokens;
  o.slice_bytes = std::uint64_t{1} << 20;
  o.keys_at_once = keys_at_once;
  o.screen.papers = "all";
  o.screen.language = "";
  for (text::QualityRule& rule : o.screen.rules) rule.limit = rule.least ? 0 : 1e9;  // computed, none rejects
  Spent alone;
  if (world.rank() == 0) {
    const auto self = comm::self_communicator("alone");
    alone = build(*self, o);
  }
  // The other ranks sleep meanwhile: waiting in a barrier would keep their cores busy.
  while (world.rank() != 0 && !fs::exists(folder.path() / "alone" / shard::kBuildName)) ::usleep(20000);
  world.barrier();
  o.out = folder.path() / "all";
  const std::vector<Spent> all = share(world, build(world, o));
  std::vector<Spent> grown;
  if (growth > 1) {
    o.inputs = {made("grown.jsonl", growth * documents)};
    o.out = folder.path() / "grown";
    grown = share(world, build(world, o));
  }
  if (world.rank() != 0) return 0;
  std::uint64_t tokens = 0;
  for (const auto& shard : shard::read_manifest(folder.path() / "all").shards) tokens += shard.counts.tokens;
  const double alone_s = sum(alone.wall, true), all_s = sum(all.front().wall, true), path = critical_path(all);
  ordered_json r{{"ranks", world.size()},
                 {"tokens", tokens},
                 {"alone_s", alone_s},
                 {"all_s", all_s},
                 {"speedup", alone_s / all_s},
                 {"alone_cpu_s", sum(alone.cpu, false)},
                 {"critical_cpu_s", path},
                 {"speedup_by_cpu", sum(alone.cpu, false) / path},
                 {"tokens_per_s", static_cast<double>(tokens) / all_s},
                 {"alone", to_json(alone)}};
  for (const Spent& s : all) r["ranks_together"].push_back(to_json(s));
  for (const Spent& s : grown) r["ranks_together_grown"].push_back(to_json(s));
  if (json) {
    fmt::print("{}\n", r.dump());
    return 0;
  }
  print_phases(alone, all);
  print_memory(all, grown, (growth - 1) * documents);
  fmt::print(
      "stage: {:.1f} s on one rank, {:.1f} s on {} ({:.2f} times as fast); by processor time, where each has a core: "
      "{:.2f} and {:.2f} s ({:.2f} times); {:.2f} million tokens/s\n",
      alone_s, all_s, world.size(), alone_s / all_s, sum(alone.cpu, false), path, sum(alone.cpu, false) / path,
      r.at("tokens_per_s").get<double>() / 1e6);
  return 0;
}
