#pragma once
// Which document goes into which shard: a pure function of all documents' records, whatever rank made them.
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "shard/split.h"

namespace eddy::shard {

/// A tokenized document, in the spill file of the rank that made it. Plain data: it travels between ranks as bytes.
struct DocumentRecord {
  std::uint64_t hash = 0;
  std::uint64_t tokens = 0;
  std::uint64_t offset = 0;  ///< bytes into the rank's spill file
  std::uint32_t unit = 0;    ///< with `number`, its place in the input
  std::uint32_t number = 0;  ///< within the unit
  std::uint32_t prompt = 0;
  std::uint32_t rank = 0;
};

struct SplitFractions {
  double validation = 0.02, test = 0;  ///< expected shares of the documents
  std::uint64_t seed = 0;              ///< another seed, other documents
};
/// By the content's hash. Throws Error (status 2) for fractions outside of [0, 1] or a sum above 1.
Split split_of(std::uint64_t hash, const SplitFractions& fractions);

struct PlannedShard {
  Split split = Split::train;
  std::uint64_t index = 0;
  std::uint64_t begin = 0, end = 0;  ///< range of the sorted records
};

/// Sorts the records by split and place in the input, and cuts each split into shards of at most `shard_tokens` tokens
/// (a longer document gets a shard of its own). A split that was asked for but got no document takes the one with the
/// least hash from the largest other split (and its exact copies), as long as that keeps some.
std::vector<PlannedShard> plan_shards(std::vector<DocumentRecord>& records, const SplitFractions& fractions,
                                      std::uint64_t shard_tokens);

}  // namespace eddy::shard
