#pragma once
// State on disk: a folder with a manifest and parallel HDF5 (docs/formats/checkpoint.md). Sees names and blocks of
// tensors, neither the model nor the optimizer.
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "tensor/slice.h"

namespace eddy::checkpoint {

/// Writes `dir` (its parent must exist) collectively: every rank gives the blocks it owns, of each tensor each element exactly once over all
/// ranks. `meta` (rank 0's) is kept in the manifest. All is written to `dir`.tmp, synced, then renamed: a crash at any moment
/// leaves either nothing or the whole checkpoint under the final name. Throws on every rank when any rank failed (disk full …).
void save(comm::Communicator& world, const std::filesystem::path& dir, const nlohmann::json& meta, const std::vector<tensor::Slice>& owned);

struct TensorEntry {
  std::string name;
  Dtype dtype;
  std::vector<std::int64_t> shape;
};

/// An opened checkpoint: manifest validated. Reading is by each rank on its own (independent I/O).
class Checkpoint {
 public:
  explicit Checkpoint(const std::filesystem::path& dir);  ///< throws Error (status 2) naming the file that is missing or damaged
  ~Checkpoint();
  Checkpoint(Checkpoint&&) noexcept;
  Checkpoint& operator=(Checkpoint&&) noexcept;
  const nlohmann::json& meta() const;
  const std::vector<TensorEntry>& tensors() const;
  bool has(const std::string& name) const;
  void read(const tensor::Slice& slice) const;  ///< fills the block; dtype and global shape must agree
  void verify() const;                          ///< reads everything and compares the checksums; throws naming the tensor

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Is this folder an Eddy checkpoint (has a manifest)?
bool is_checkpoint(const std::filesystem::path& dir);
/// The complete checkpoints step-NNNNNNNN below `dir`, ascending; unfinished ones (*.tmp) are passed over.
std::vector<std::filesystem::path> list(const std::filesystem::path& dir);
/// Removes all but the newest `keep` (rank 0 only calls it), and left-over *.tmp folders.
void prune(const std::filesystem::path& dir, int keep);

}  // namespace eddy::checkpoint
