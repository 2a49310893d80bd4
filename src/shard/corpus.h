#pragma once
// One split of one or more dataset directories, as one sequence of documents.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "shard/manifest.h"
#include "shard/shard.h"

namespace eddy::shard {

/// Immutable, and safe to use from several threads.
class Corpus {
 public:
  /// Maps the split's shards. Throws Error (status 2): no such directory or split, a damaged or truncated shard, shards
  /// that are not the manifest's, directories made with different tokenizers.
  Corpus(const std::vector<std::filesystem::path>& dirs, Split split);

  const std::vector<Shard>& shards() const { return shards_; }
  std::uint64_t documents() const { return first_.back(); }
  std::uint64_t tokens() const { return tokens_; }
  std::uint64_t tokenizer_hash() const { return shards_.front().tokenizer_hash(); }
  std::uint64_t vocab_size() const { return shards_.front().vocab_size(); }
  std::uint64_t max_token() const;

  /// Where document i lies: shards()[shard], its document `local`.
  struct Place {
    std::size_t shard;
    std::uint64_t local;
  };
  Place place(std::uint64_t i) const;
  DocumentView document(std::uint64_t i) const {
    const Place p = place(i);
    return shards_[p.shard].document(p.local);
  }

 private:
  std::vector<Shard> shards_;
  std::vector<std::uint64_t> first_{0};  // [shards + 1]: number of the first document of each
  std::uint64_t tokens_ = 0;
};

/// Throws Error (status 2) unless the shards' tokenizer is this one: `where` names what was made with `hash`.
void check_tokenizer(std::uint64_t shards_hash, const std::string& shards, std::uint64_t hash,
                     const std::string& where);

/// Compares a directory's tokenizer.json with its manifest: its hash, and how many tokens it has. Throws Error (status
/// 2) for another one; for none, where it is `needed`.
void check_tokenizer_file(const std::filesystem::path& dir, const Manifest& manifest, bool needed);

}  // namespace eddy::shard
