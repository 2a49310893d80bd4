#pragma once
// Which document goes into which shard: a pure function of all documents' records, whatever rank made them.
#include <array>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "shard/kind.h"
#include "shard/split.h"

namespace eddy::shard {

inline constexpr std::uint32_t kNone = ~std::uint32_t{0};

/// A tokenized document, in a spill file. Plain data: it travels between ranks as bytes.
struct DocumentRecord {
  std::uint64_t hash = 0;
  std::uint64_t offset = 0;     ///< bytes into the spill file
  std::uint64_t split_key = 0;  ///< of its paper: decides the split; 0: its hash does
  std::uint32_t tokens = 0;
  std::uint32_t unit = 0;    ///< with `number`, its place in the input
  std::uint32_t number = 0;  ///< within the unit
  std::uint32_t prompt = 0;
  std::uint32_t spill = 0;      ///< number of the spill file
  std::uint32_t line = 0;       ///< within the unit, from 1; 0 for whole files
  std::uint32_t owner = kNone;  ///< number of the text that a pair was made from; none: it stands for itself
  std::uint32_t paper = kNone;  ///< index among the unit's papers
  float weight = 1;             ///< how often it is written to the training split, on average
  DocKind kind = DocKind::text;
  Origin origin = Origin::text;
  Dropped dropped = Dropped::no;
  std::uint8_t set = 0;  ///< which of the directories made it goes to

  std::uint64_t key() const { return split_key != 0 ? split_key : hash; }
};
static_assert(std::is_trivially_copyable_v<DocumentRecord>);
static_assert(sizeof(DocumentRecord) == 64);  // rank 0 keeps one of every document

struct SplitFractions {
  double validation = 0.02, test = 0;  ///< expected shares of the papers, or documents that are no papers
  std::uint64_t seed = 0;              ///< another seed, other documents
  std::uint64_t folds = 0,
                fold = 0;  ///< folds > 0: fold `fold` of what is not in test is validation, 0 <= fold < folds
};
/// By a record's key. Throws Error (status 2) for fractions outside of [0, 1] or a sum above 1, or no such fold.
Split split_of(std::uint64_t key, const SplitFractions& fractions);

struct PlannedShard {
  Split split = Split::train;
  std::uint8_t set = 0;
  std::uint64_t index = 0;           ///< among the files of its split and set
  std::uint64_t begin = 0, end = 0;  ///< range of Plan::order
};
struct Plan {
  std::vector<PlannedShard> shards{};
  std::vector<std::uint32_t> order{};  ///< which record comes where
};

/// Orders the records by set, split and place in the input, and cuts each set's splits into shards of at most
/// `shard_tokens` tokens (a longer document gets a shard of its own). Dropped records are left out; one of the training
/// split with another weight than 1 is repeated, or left out: floor(weight) times and once more with the probability of
/// what is left, drawn by its hash. A split that was asked for but got no document takes those with the least key from
/// the largest other split, as long as that keeps some. Takes 9 bytes a record beside what it returns.
Plan plan_shards(const std::vector<DocumentRecord>& records, const SplitFractions& fractions,
                 std::uint64_t shard_tokens);

}  // namespace eddy::shard
