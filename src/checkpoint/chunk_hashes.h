#pragma once
// The hashes of a checkpoint's pieces while it is written: pieces that one rank holds whole are hashed from its memory,
// the others (where ranks' blocks meet) are read back.
#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"
#include "comm/communicator.h"

namespace eddy::checkpoint {

class ChunkHashes {
 public:
  explicit ChunkHashes(const Manifest& manifest)
      : manifest_(manifest), hashes_(manifest.chunks()), seen_(manifest.chunks()) {}

  /// Hashes the pieces that lie whole within bytes [first, first + count) of a tensor.
  void add(const Extent& tensor, std::uint64_t first, std::uint64_t count, const void* data);
  /// Collective, after all ranks have written and synced: completes the table, each rank reading back its share of what
  /// nobody held whole. Throws on every rank when two ranks wrote the same piece or the file cannot be read.
  void complete(comm::Communicator& world, const std::string& data_file);
  const std::vector<std::uint64_t>& all() const { return hashes_; }

 private:
  const Manifest& manifest_;
  std::vector<std::uint64_t> hashes_;
  std::vector<std::int32_t> seen_;  // how often each was hashed
};

/// XXH3 of a tensor's piece hashes, as the manifest states it. `hashes` are the tensor's own.
std::string combine(const std::uint64_t* hashes, std::uint64_t count);

}  // namespace eddy::checkpoint
