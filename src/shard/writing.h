#pragma once
// The writing half of a build: planned shards dealt out to the ranks, each made from the spill files.
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "shard/inputs.h"
#include "shard/journal.h"
#include "shard/manifest.h"
#include "shard/plan.h"
#include "tokenize/tokenizer.h"

namespace eddy::shard {

/// Puts the records into the folder in the plan's order, for all ranks to read: so none holds more of them than those
/// of one shard.
void write_plan(const std::filesystem::path& folder, const std::vector<DocumentRecord>& records,
                const std::vector<std::uint32_t>& order);

struct WriteInputs {
  const std::filesystem::path& folder;   ///< with plan, spills and journals; a folder for each set is in it
  const std::vector<std::string>& sets;  ///< their names
  const std::vector<PlannedShard>& shards;
  const InputList& list;
  const std::vector<Unit>& units;
  const std::vector<JournalPlace>& places;  ///< ascending by unit
  const tokenize::Tokenizer& tokenizer;
  const std::function<void(const char*)>& on_phase;
};
/// Collective: writes the shards, each on whichever rank asks next. Returns this rank's. Throws Error, the same on all
/// ranks.
std::vector<ShardEntry> write_shards(comm::Communicator& world, const WriteInputs& inputs);

}  // namespace eddy::shard
