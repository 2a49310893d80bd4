#pragma once
// What a build may be told.
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "extract/grobid.h"
#include "io/file_system.h"
#include "shard/pairs.h"
#include "shard/plan.h"
#include "text/minhash.h"
#include "text/quality.h"

namespace eddy::shard {

struct DedupOptions {
  std::string mode = "near";  ///< "near": MinHash and exact; "exact"; "off"
  text::MinHashConfig minhash{};
  std::uint64_t min_words = 20;  ///< shorter texts are compared exactly only; so are pairs
};

struct ScreenOptions {
  std::string papers = "auto";  ///< quality and language of: "auto", "all", "none"
  text::QualityRules rules = text::default_quality_rules();
  std::string language = "en";  ///< of screened documents; empty: any
  bool mask_emails = true;
  std::vector<std::string> licences{};  ///< short names allowed (a * at the end: all that begin so); empty: all
};

struct DecontaminateOptions {
  std::vector<std::string> files{};  ///< evaluation sets: .jsonl, or .json with a list of objects
  std::uint64_t words = 13;
};

/// "field=physics:2": documents that match are written so often to the training split.
struct WeightRule {
  std::string what;     ///< source, field or kind
  std::string pattern;  ///< with * and ?; a source matches by its beginning up to a / as well
  double weight = 1;
};
/// Throws Error (status 2) for one that cannot be read.
WeightRule parse_weight(const std::string& text);
/// The product over source, field and kind of the first rule that matches each.
double weight_of(const std::vector<WeightRule>& rules, const std::string& source,
                 const std::vector<std::string>& fields, DocKind kind);

struct BuildOptions {
  std::vector<std::string> inputs{};
  std::filesystem::path tokenizer{};  ///< tokenizer.json
  std::filesystem::path out{};        ///< made if it is not there; must be empty but with overwrite
  SplitFractions split{};
  std::uint64_t shard_tokens = std::uint64_t{64} << 20;
  bool overwrite = false;                              ///< replace the shards of an earlier build in `out`
  std::uint64_t slice_bytes = std::uint64_t{2} << 20;  ///< of a .jsonl file that one rank works on at a time
  extract::GrobidOptions grobid{};
  std::string grobid_version{};  ///< of the server, found out by build_sets
  DedupOptions dedup{};
  ScreenOptions screen{};
  DecontaminateOptions decontaminate{};
  PairOptions pairs{};
  std::vector<WeightRule> weights{};
  std::string task_field{};    ///< evaluation questions from held-out papers of this field; "*": of all
  double commit_seconds = 10;  ///< how much work a kill may cost
  std::uint64_t keys_at_once = std::uint64_t{4}
                               << 20;       ///< duplicates' keys that a rank holds in memory (16 bytes each)
  const std::atomic<bool>* stop = nullptr;  ///< becomes true: the build ends with what it has committed
  io::FileSystem* files = &io::disk();      ///< what gives files their names at the end
  /// Called on each rank when it begins a phase; "wait": it has done its part, others have not. For benchmarks.
  std::function<void(const char* phase)> on_phase = [](const char*) {};

  /// What decides the shards' content, for the report, and to know an interrupted build by.
  nlohmann::ordered_json to_json() const;
};

}  // namespace eddy::shard
