#include "bench_corpus_minhash.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <functional>
#include <optional>

#include "base/error.h"
#include "base/options.h"
#include "base/rng.h"
#include "comm/self_communicator.h"
#include "comm/session.h"
#include "io/file.h"
#include "shard/build.h"
#include "text/minhash.h"
#include "tokenize/trainer.h"

using namespace eddy;
namespace fs = std::filesystem;
using nlohmann::ordered_json;

namespace {

/// Some 20,000 words of 2 to 11 letters, the frequent ones short, in sentences; no two documents alike.
std::string made_text(std::uint64_t seed, std::uint64_t words) {
  std::string out;
  for (std::uint64_t w = 0; w < words; ++w) {
    const Philox r = philox(seed, w);
    const double u = uniform01(r[0]);
    const auto word = static_cast<std::uint32_t>(20000 * u * u * u);
    const std::uint64_t letters = mix(77, word);
    for (std::uint64_t c = 0; c < 2 + (word > 50) * 2 + letters % 8; ++c)
      out += static_cast<char>('a' + mix(letters, c) % 26);
    out += w % 15 == 14 ? ".\n" : " ";
  }
  return out;
}

std::vector<std::string> texts_of(const std::string& jsonl) {
  std::vector<std::string> texts;
  for (std::size_t at = 0; at < jsonl.size();) {
    const std::size_t end = std::min(jsonl.find('\n', at), jsonl.size());
    const auto j = nlohmann::json::parse(std::string_view(jsonl).substr(at, end - at), nullptr, false);
    if (!j.is_object() || !j.contains("text") || !j.at("text").is_string())
      fail_input("line {} is no {{\"text\"}}", texts.size() + 1);
    texts.push_back(j.at("text"));
    at = end + 1;
  }
  return texts;
}

/// Piece by piece: the bench's own memory shall not grow with the corpus.
void write_documents(const fs::path& path, std::uint64_t documents, std::uint64_t words) {
  io::AtomicFile file(path);
  for (std::uint64_t d = 0; d < documents; ++d)
    file.write(nlohmann::json{{"text", made_text(1000 + d, words)}}.dump() + "\n");
  file.commit();
}

double wall_s(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// A folder that all ranks know, removed at the end by rank 0.
class SharedFolder {
 public:
  explicit SharedFolder(comm::Communicator& world) : world_(world) {
    char name[256] = {};
    const std::string pattern = (fs::temp_directory_path() / "eddy-bench-corpus-XXXXXX").string();
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

/// The most memory that this process has had resident.
std::uint64_t peak_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

std::string small_tokenizer() {
  tokenize::BpeTrainer trainer(4000);
  trainer.add(made_text(1, 200000));
  return trainer.finish();
}

}  // namespace

std::string made_documents(std::uint64_t documents, std::uint64_t words) {
  std::string out;
  for (std::uint64_t d = 0; d < documents; ++d)
    out += nlohmann::json{{"text", made_text(1000 + d, words)}}.dump() + "\n";
  return out;
}

ordered_json bench_minhash(const std::vector<std::string>& texts, int passes) {
  text::MinHasher hasher(text::MinHashConfig{});
  std::uint64_t bytes = 0, words = 0, sum = 0;
  double best = 1e300;
  for (int pass = 0; pass < passes; ++pass) {
    bytes = words = 0;
    const std::clock_t start = std::clock();
    for (const std::string& t : texts) {
      for (const std::uint64_t key : hasher.keys(t)) sum += key;
      bytes += t.size();
      words += hasher.words();
    }
    best = std::min(best, static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
  }
  return {{"documents", texts.size()},
          {"bytes", bytes},
          {"words", words},
          {"seconds", best},
          {"mb_per_s", static_cast<double>(bytes) / best / 1e6},
          {"checksum", sum}};
}

int bench_corpus_minhash(const std::vector<std::string>& arguments) {
  std::string file;
  std::uint64_t documents = 500, words = 5000;
  int passes = 5;
  bool json = false;
  Options options("eddy-bench corpus-minhash", "[--jsonl FILE] [--json]",
                  "Speed of MinHash signatures and their band keys on one core (tests/reference/bench_minhash.py: "
                  "beside datatrove's).");
  options.add("jsonl", &file, "documents, {\"text\"} a line; default: made-up ones");
  options.add("documents", &documents, "made-up documents", {.min = 1});
  options.add("words", &words, "words of each", {.min = 1});
  options.add("passes", &passes, "the best counts", {.min = 1});
  options.add("json", &json, "print one JSON object", {.command_line_only = true});
  if (!options.parse(arguments)) return 0;
  const ordered_json r =
      bench_minhash(texts_of(file.empty() ? made_documents(documents, words) : io::read_file(file)), passes);
  if (json)
    fmt::print("{}\n", r.dump());
  else
    fmt::print("MinHash, word 5-grams, 14 bands of 8 rows: {:.1f} MB/s on one core ({} documents, {} words)\n",
               r.at("mb_per_s").get<double>(), r.at("documents").get<std::uint64_t>(),
               r.at("words").get<std::uint64_t>());
  return 0;
}

int bench_corpus_stage(const std::vector<std::string>& arguments) {
  std::uint64_t documents = 2000, words = 5000;
  std::string tokenizer, input;
  bool json = false;
  Options options("eddy-bench corpus-stage", "[--input PATH] [--tokenizer FILE] [--json]   (under mpiexec -n N)",
                  "The whole of eddy-shard on all ranks beside one rank alone: read, screen, tokenize, MinHash, find "
                  "duplicates, write.");
  options.add("input", &input, "documents; default: made-up ones");
  options.add("tokenizer", &tokenizer, "tokenizer.json; default: one trained on made-up words");
  options.add("documents", &documents, "made-up documents", {.min = 1});
  options.add("words", &words, "words of each", {.min = 1});
  options.add("json", &json, "print one JSON object", {.command_line_only = true});
  if (!options.parse(arguments)) return 0;

  comm::Session session;
  session.set_timeout(0);
  comm::Communicator& world = session.world();
  const SharedFolder folder(world);
  if (world.rank() == 0) {
    if (input.empty()) write_documents(folder.path() / "in.jsonl", documents, words);
    io::write_file(folder.path() / "tokenizer.json", tokenizer.empty() ? small_tokenizer() : io::read_file(tokenizer));
  }
  world.barrier();
  shard::BuildOptions o{.inputs = {input.empty() ? (folder.path() / "in.jsonl").string() : input},
                        .tokenizer = folder.path() / "tokenizer.json",
                        .out = folder.path() / "alone",
                        .slice_bytes = std::uint64_t{1} << 20};
  o.screen.papers = "all";
  o.screen.language = "";
  for (text::QualityRule& rule : o.screen.rules) rule.limit = rule.least ? 0 : 1e9;  // computed, none rejects
  double alone_s = 0;
  if (world.rank() == 0) {
    const auto alone = comm::self_communicator("alone");
    alone_s = wall_s([&] { shard::build_sets(*alone, o); });
  }
  // The other ranks sleep meanwhile: waiting in a barrier would keep their cores busy.
  while (world.rank() != 0 && !fs::exists(folder.path() / "alone" / "manifest.json")) ::usleep(20000);
  world.barrier();
  o.out = folder.path() / "all";
  const double all_s = wall_s([&] {
    shard::build_sets(world, o);
    world.barrier();
  });
  if (world.rank() != 0) return 0;
  std::uint64_t bytes = 0;
  for (const auto& shard : shard::read_manifest(folder.path() / "all").shards) bytes += shard.counts.tokens;
  const ordered_json r{{"ranks", world.size()},      {"tokens", bytes},
                       {"alone_s", alone_s},         {"all_s", all_s},
                       {"speedup", alone_s / all_s}, {"tokens_per_s", static_cast<double>(bytes) / all_s},
                       {"peak_bytes", peak_bytes()}};
  if (json)
    fmt::print("{}\n", r.dump());
  else
    fmt::print("stage: {:.1f} s on one rank, {:.1f} s on {} ({:.2f} times as fast); {:.2f} million tokens/s\n", alone_s,
               all_s, world.size(), alone_s / all_s, r.at("tokens_per_s").get<double>() / 1e6);
  return 0;
}
