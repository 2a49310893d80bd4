#pragma once
// The pipeline of eddy-shard: documents → HDF5 shards, on all ranks; the same bytes whatever their number.
//
// 1. Rank 0 lists the inputs; all ranks find which .tex files are parts of others.
// 2. Each rank extracts, cleans and tokenizes its units of work into a spill file below <out>/.partial, and keeps a
// record
//    of 48 bytes a document.
// 3. Rank 0 sorts the records by place in the input, decides splits and cuts shards (plan.h).
// 4. Each shard is written by one rank from the spill files, still below .partial (a file system shared by all ranks).
// 5. When all are on disk rank 0 renames them; the manifest comes last. A failure leaves nothing under a final name.
#include <filesystem>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "shard/manifest.h"
#include "shard/plan.h"

namespace eddy::shard {

struct BuildOptions {
  std::vector<std::string> inputs{};
  std::filesystem::path tokenizer{};  ///< tokenizer.json
  std::filesystem::path out{};        ///< made if it is not there; must be empty but with overwrite
  SplitFractions split{};
  std::uint64_t shard_tokens = std::uint64_t{64} << 20;
  bool overwrite = false;                              ///< replace the shards of an earlier build in `out`
  std::uint64_t slice_bytes = std::uint64_t{8} << 20;  ///< of a .jsonl file that one rank works on at a time
};

/// Collective; every rank gets the manifest. Throws Error, the same on all ranks: status 2 for unusable input (missing
/// path, no tokenizer, no document at all, a directory in use), 1 when writing fails.
Manifest build_dataset(comm::Communicator& world, const BuildOptions& options);

}  // namespace eddy::shard
