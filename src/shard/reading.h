#pragma once
// The reading half of a build: units of work dealt out to the ranks, what a killed build has committed left out.
#include <filesystem>
#include <vector>

#include "comm/communicator.h"
#include "shard/build_options.h"
#include "shard/inputs.h"
#include "shard/journal.h"
#include "tokenize/tokenizer.h"

namespace eddy::shard {

/// Collective: processes the units without an entry in the folder's journals. Throws Error, the same on all ranks;
/// status 75 when it was told to stop, with all that was done committed. Returns how many documents there are.
std::uint64_t read_units(comm::Communicator& world, const std::filesystem::path& folder, const BuildOptions& options,
                         const InputList& list, const std::vector<Unit>& units, tokenize::Tokenizer& tokenizer);

/// What the journals hold, after reading.
struct ReadDocuments {
  std::vector<DocumentRecord> records{};  ///< on rank 0: all, sorted by place
  std::vector<JournalPlace> places{};     ///< on all ranks: every unit's entry, ascending by unit
  std::vector<std::uint64_t> first{};     ///< on all ranks: [units]: number of each unit's first document
  std::uint64_t keys = 0;                 ///< of all documents together
  Tally tally{};                          ///< on all ranks
};
/// Collective. `documents`: as read_units says.
ReadDocuments gather_documents(comm::Communicator& world, const std::filesystem::path& folder, std::size_t units,
                               std::uint64_t documents);

/// Collective: marks copies in the records on rank 0; returns what each is kept as (mark_copies).
std::vector<std::uint32_t> find_duplicates(comm::Communicator& world, const std::filesystem::path& folder,
                                           const BuildOptions& options, ReadDocuments& read);

}  // namespace eddy::shard
