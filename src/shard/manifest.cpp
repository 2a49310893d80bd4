#include "shard/manifest.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/plain_text.h"
#include "io/file.h"
#include "shard/format.h"
#include "shard/shard.h"

namespace eddy::shard {
namespace fs = std::filesystem;
using nlohmann::ordered_json;

Counts& Counts::operator+=(const Counts& o) {
  documents += o.documents;
  tokens += o.tokens;
  targets += o.targets;
  return *this;
}

namespace {

std::uint64_t parse_hex(const std::string& text, const std::string& file) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size() || text.size() != 16)
    fail_input("{}: '{}' is not a hash of 16 hexadecimal digits", file, text);
  return value;
}

/// A whole number from 0 on: -1 would be taken for 2^64 - 1.
std::uint64_t count_of(const ordered_json& j, const char* key, const std::string& file) {
  const ordered_json& n = j.at(key);
  if (!n.is_number_unsigned()) fail_input("{}: \"{}\" is {}, not a whole number from 0 on", file, key, n.dump());
  return n.get<std::uint64_t>();
}

ShardEntry parse_entry(const ordered_json& j, const std::string& file) {
  ShardEntry e;
  e.file = j.at("file").get<std::string>();
  if (e.file.empty() || e.file.find('/') != std::string::npos)
    fail_input("{}: '{}' is not a file of the directory", file, e.file);
  const auto split = std::find(kSplitNames.begin(), kSplitNames.end(), j.at("split").get<std::string>());
  if (split == kSplitNames.end()) fail_input("{}: {}: unknown split", file, e.file);
  e.split = static_cast<Split>(split - kSplitNames.begin());
  e.counts = {count_of(j, "documents", file), count_of(j, "tokens", file), count_of(j, "targets", file)};
  e.bytes = count_of(j, "bytes", file);
  e.xxh3 = parse_hex(j.at("xxh3"), file);
  return e;
}

}  // namespace

Manifest read_manifest(const fs::path& dir) {
  std::error_code none;
  if (!fs::exists(dir, none)) fail_input("{}: there is no such directory of shards", dir.string());
  const fs::path path = dir / kManifestName;
  if (!fs::exists(path, none) && fs::exists(dir / "text" / kManifestName, none))
    fail_input("{0}: holds two directories of shards: name {0}/text (whole texts) or {0}/pairs (prompts and responses)",
               dir.string());
  if (!fs::exists(path, none))
    fail_input("{}: no {}: not a directory of eddy-shard, or one it did not finish", dir.string(), kManifestName);
  return parse_manifest(io::read_file(path), path.string());
}

Manifest parse_manifest(const std::string& text, const std::string& file) {
  const auto j = parse_json<ordered_json>(text, file);
  try {
    if (j.at("format") != kFormatName) fail_input("{}: not a manifest of eddy-shard", file);
    if (j.at("schema_version") != kSchemaVersion)
      fail_input("{}: schema version {}; this program reads version {}", file, j.at("schema_version").dump(),
                 kSchemaVersion);
    Manifest m;
    m.tokenizer_hash = parse_hex(j.at("tokenizer").at("xxh3"), file);
    m.vocab_size = count_of(j.at("tokenizer"), "vocab_size", file);
    check_vocab_size(m.vocab_size, file + ": vocab_size");
    for (const auto& entry : j.at("shards")) m.shards.push_back(parse_entry(entry, file));
    m.report = j.at("report");
    return m;
  } catch (const nlohmann::json::exception& e) {
    fail_input("{}: not a manifest of eddy-shard ({}): restore it, or make the shards again", file, plain_text(e));
  }
}

std::string manifest_text(const Manifest& m) {
  ordered_json shards = ordered_json::array();
  for (const ShardEntry& e : m.shards)
    shards.push_back({{"file", e.file},
                      {"split", split_name(e.split)},
                      {"documents", e.counts.documents},
                      {"tokens", e.counts.tokens},
                      {"targets", e.counts.targets},
                      {"bytes", e.bytes},
                      {"xxh3", hex64(e.xxh3)}});
  const ordered_json j = {{"format", kFormatName},
                          {"schema_version", kSchemaVersion},
                          {"tokenizer", {{"xxh3", hex64(m.tokenizer_hash)}, {"vocab_size", m.vocab_size}}},
                          {"shards", shards},
                          {"report", m.report}};
  return j.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

void write_manifest(const fs::path& dir, const Manifest& m) {
  io::write_file(dir / kManifestName, manifest_text(m));
}

std::array<Counts, 3> counts_by_split(const std::vector<ShardEntry>& shards) {
  std::array<Counts, 3> sums;
  for (const ShardEntry& e : shards) sums[static_cast<std::size_t>(e.split)] += e.counts;
  return sums;
}

}  // namespace eddy::shard
