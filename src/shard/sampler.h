#pragma once
// Packed rows in a reproducible order: documents of shard directories, best-fit packed into rows of seq_len tokens.
// The order is a pure function of (seed, step, index): it knows nothing of ranks, and a resumed run goes on exactly.
//
// Packing, once per construction: a document longer than seq_len is cut into pieces that overlap by one token, so that
// every token but a document's first is a target exactly once; pieces go, longest first, each into the fullest row that
// still holds it (best-fit decreasing). A piece is a document of its own: attention and positions restart at it.
// Order: a pass over the rows is a keyed permutation of them (a Feistel network on the row number), another one in each
// epoch. The packing of the train split is seeded too; other splits keep the corpus's order and are never shuffled.
// Mixing: sources without weights are packed together, so that an epoch is each row once; sources with weights are
// drawn row by row, in proportions exact to 1/65,536: after any number of rows each source is within one row of its
// share.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "shard/split.h"

namespace eddy::shard {

/// One row of tokens, as the trainer takes it.
struct PackedRow {
  std::vector<std::int32_t> ids;          ///< [seq_len]; the unused end is padded with 0
  std::vector<std::int32_t> doc_lengths;  ///< tokens of each document in order; the sum is the used length <= seq_len
  std::vector<std::uint8_t> loss;  ///< [seq_len]; 1: this token is a target that counts (never a document's first)
};

/// A shard directory and its weight in the mixture; weight 0: not given.
struct Source {
  std::filesystem::path dir;
  double weight = 0;
};
/// "dir:0.7,dir2:0.3" or "dir,dir2". Throws Error (status 2) on an empty name, a bad weight, or weights for some only.
std::vector<Source> parse_sources(const std::string& text);

struct SamplerConfig {
  std::int64_t seq_len = 4096;  ///< tokens a row, >= 2
  std::uint64_t seed = 0;
  int global_batch = 1;          ///< rows a step, over all ranks
  std::uint64_t vocab_size = 0;  ///< the model's; a token id at or above it is an error
  bool verify = true;   ///< compare checksums of tokens and tokenizer.json at construction (the index's always are) ...
  int verify_rank = 0;  ///< ... of every verify_ranks-th file from this one on: the ranks share the reading
  int verify_ranks = 1;
};

/// The rows of one split of one or more shard directories. Immutable, and safe to use from several threads.
class Sampler {
 public:
  /// Maps the shards and packs them. Throws Error (status 2), naming file and dataset, for a directory without this
  /// split, a damaged shard, shards of different tokenizers, or a vocabulary larger than the model's.
  Sampler(const std::vector<Source>& sources, Split split, const SamplerConfig& config);
  ~Sampler();
  Sampler(Sampler&&) noexcept;
  Sampler& operator=(Sampler&&) noexcept;

  /// Row `index` in [0, global_batch) of step `step`. The second form reuses the row's memory.
  PackedRow row(std::uint64_t step, int index) const;
  void row(std::uint64_t step, int index, PackedRow& out) const;

  /// Row r in [0, rows()) in sequence, each once, sources one after the other and weights ignored: for validation.
  PackedRow row_at(std::uint64_t r) const;
  void row_at(std::uint64_t r, PackedRow& out) const;
  std::uint64_t rows() const;  ///< of all sources together

  std::uint64_t rows_per_epoch() const { return rows(); }
  double epoch(std::uint64_t step) const;   ///< rows drawn before `step` / rows_per_epoch()
  std::uint64_t tokens_per_epoch() const;   ///< in rows, padding left out
  std::uint64_t targets_per_epoch() const;  ///< tokens whose loss flag is 1
  std::uint64_t tokenizer_hash() const;     ///< XXH3 of the tokenizer.json the shards were made with
  std::uint64_t vocab_size() const;         ///< the tokenizer's

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

}  // namespace eddy::shard
