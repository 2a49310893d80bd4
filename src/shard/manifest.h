#pragma once
// manifest.json of a dataset directory: which shards belong to it, and how they came about. It is written last, so a
// directory without one is not finished.
#include <array>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "shard/split.h"

namespace eddy::shard {

/// Sums over documents.
struct Counts {
  std::uint64_t documents = 0, tokens = 0;
  std::uint64_t targets = 0;  ///< tokens after the prompt
  Counts& operator+=(const Counts& o);
};

struct ShardEntry {
  std::string file;  ///< name within the directory
  Split split = Split::train;
  Counts counts;
  std::uint64_t bytes = 0;  ///< size of the file
  std::uint64_t xxh3 = 0;   ///< of the whole file
  std::uint8_t set = 0;     ///< number of the directory it goes to, while a build makes several
};

struct Manifest {
  std::uint64_t tokenizer_hash = 0;
  std::uint64_t vocab_size = 0;
  std::vector<ShardEntry> shards;                                    ///< by split, then index
  nlohmann::ordered_json report = nlohmann::ordered_json::object();  ///< options and counts of the build, for people
};

/// Throws Error (status 2) naming the directory or file: missing, unfinished, malformed, of another schema version.
Manifest read_manifest(const std::filesystem::path& dir);
/// The same of a file's text; `file` names it in errors.
Manifest parse_manifest(const std::string& text, const std::string& file);
std::string manifest_text(const Manifest& manifest);
void write_manifest(const std::filesystem::path& dir, const Manifest& manifest);

std::array<Counts, 3> counts_by_split(const std::vector<ShardEntry>& shards);

}  // namespace eddy::shard
