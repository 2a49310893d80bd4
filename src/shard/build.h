#pragma once
// The pipeline of eddy-shard: documents → HDF5 shards, on all ranks; the same bytes whatever their number.
//
// 1. Rank 0 lists the inputs; all ranks find which .tex files are parts of others. Units of work that an interrupted
//    build has committed below <out>/.partial are left out.
// 2. Units are dealt out to whichever rank asks next (process.h): each document is extracted, cleaned, screened,
//    tokenized into a spill file; the journal (journal.h) keeps a record of it.
// 3. Duplicates are found by all ranks together (duplicates.h).
// 4. Rank 0 sorts the records by place in the input, decides splits and cuts shards (plan.h), and writes the plan down.
// 5. Each shard is written by whichever rank asks next (writing.h), from plan and spill files, still below .partial (a
//    file system shared by all ranks).
// 6. When all are on disk rank 0 renames them (output.h); the manifests come last. A failure before leaves nothing
// under
//    a final name; a build that is killed meanwhile goes on with the renaming when it is started again.
//
// Memory that grows with the corpus: on rank 0 84 bytes a document until the plan is written (a record of 64, and 20
// while duplicates are found), then 4; 40 a dropped copy. On every rank the list of input files, some 0.3 KB each.
// Bounded: keys of duplicates (keys_at_once), the records of one shard (120 bytes a document), buffers.
#include "comm/communicator.h"
#include "shard/build_options.h"
#include "shard/manifest.h"

namespace eddy::shard {

/// A directory of shards that a build made: `out` itself, or "text" and "pairs" in it.
struct BuiltSet {
  std::string name;  ///< "" for `out` itself
  Manifest manifest;
};

/// Collective; every rank gets the manifests. Throws Error, the same on all ranks: status 2 for unusable input (missing
/// path, no tokenizer, no document at all, a directory in use), 1 when writing fails, 75 when it was told to stop.
std::vector<BuiltSet> build_sets(comm::Communicator& world, const BuildOptions& options);
/// The same for options that make one directory of shards.
Manifest build_dataset(comm::Communicator& world, const BuildOptions& options);

}  // namespace eddy::shard
