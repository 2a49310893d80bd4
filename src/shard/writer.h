#pragma once
// Writing shard files, and datasets of them from memory (the pipeline of eddy-shard writes the same files from its
// spills).
#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "shard/manifest.h"
#include "shard/split.h"

namespace eddy::shard {

struct ShardHeader {
  Split split = Split::train;
  std::uint64_t index = 0;  ///< among the files of its split
  std::uint64_t tokenizer_hash = 0;
  std::uint64_t vocab_size = 0;
};
struct ShardDocument {
  std::uint64_t tokens = 0;  ///< its length
  std::uint32_t prompt = 0;  ///< leading tokens that are no targets
  std::uint32_t source = 0;  ///< index into `sources`
  std::uint64_t hash = 0;
};

/// Writes one shard to `path`, synced to disk, with bounded memory: tokens_of(i) gives document i's ids when it is
/// their turn, in ascending order. Throws Error: status 1 when it cannot be written (the file is then incomplete:
/// remove it), status 2 for a token id at or above vocab_size.
ShardEntry write_shard(const std::filesystem::path& path, const ShardHeader& header,
                       const std::vector<ShardDocument>& documents, const std::vector<std::string>& sources,
                       const std::function<std::span<const std::uint32_t>(std::size_t)>& tokens_of);

/// A dataset directory from documents in memory: for tests, benchmarks and small conversions, in one process.
class DatasetWriter {
 public:
  DatasetWriter(std::filesystem::path dir, std::uint64_t tokenizer_hash, std::uint64_t vocab_size);
  /// `prompt`: how many leading tokens are no targets.
  void add(Split split, std::vector<std::uint32_t> tokens, std::uint32_t prompt = 0);
  /// Writes the shards, one for `shard_tokens` tokens, and the manifest.
  void finish(std::uint64_t shard_tokens = std::uint64_t{64} << 20);

 private:
  struct Document {
    std::vector<std::uint32_t> tokens;
    std::uint32_t prompt;
  };
  std::filesystem::path dir_;
  std::uint64_t tokenizer_hash_, vocab_size_;
  std::array<std::vector<Document>, 3> documents_;
};

}  // namespace eddy::shard
