#pragma once
// State on disk: a folder with a manifest and HDF5 files (docs/formats/checkpoint.md). Sees names and blocks of
// tensors, neither the model nor the optimizer.
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "io/lustre.h"
#include "tensor/slice.h"

namespace eddy::checkpoint {

struct SaveOptions {
  /// Makes the elements of owned[index], whose view then has no data, in `buffer` when its turn to be written comes:
  /// how more is saved than memory holds. Called on another thread, one call at a time, while the caller waits.
  std::function<void(std::size_t index, void* buffer)> fill;
  /// Files copied beside the tensors (into hf/): tokenizer, generation configuration. Rank 0's count.
  std::vector<std::filesystem::path> attachments;
  /// Called as this rank's bytes are written, with their sum so far; by one thread at a time, while the caller waits.
  std::function<void(std::uint64_t bytes)> progress;
  /// Ranks that share a data file. The eight of a usual node: then one node writes a file, and few files come of it.
  int ranks_per_file = 8;
  int threads = 4;     ///< of a rank, that hash and write
  bool direct = true;  ///< write past the page cache where the file system can (O_DIRECT)
  /// Of the data files, on Lustre.
  io::Stripes stripes;
  /// A folder on this node's own disk: there the copy waits that is written while training goes on (Saver), not in host
  /// memory; empty: in memory.
  std::filesystem::path staging;
  io::FileSystem* files = nullptr;  ///< what the files go through; null: the disk
};

/// Writes `dir` (its parent must exist) collectively: every rank gives the blocks it owns, of each tensor each element
/// exactly once over all ranks. Names are "tensor" or "group/tensor", without '@'. `meta` (rank 0's) is kept in the
/// manifest. All is written to `dir`.tmp, synced, then renamed: a crash at any moment leaves either nothing or the
/// whole checkpoint under the final name. A checkpoint that stands there already is replaced in the same way; anything
/// else is refused. Throws on every rank, naming the rank, when any failed (status 1: disk full, …); what stood under
/// the final name then still stands.
void save(comm::Communicator& world, const std::filesystem::path& dir, const nlohmann::json& meta,
          const std::vector<tensor::Slice>& owned, const SaveOptions& options = {});

struct TensorEntry {
  std::string name;
  Dtype dtype;
  std::vector<std::int64_t> shape;
};

/// An opened checkpoint: manifest validated, its files there with their sizes. Each rank reads on its own, and one
/// thread calls at a time; large blocks are read by several.
class Checkpoint {
 public:
  explicit Checkpoint(
      const std::filesystem::path& dir);  ///< throws Error (status 2) naming the file that is missing or damaged
  ~Checkpoint();
  Checkpoint(Checkpoint&&) noexcept;
  Checkpoint& operator=(Checkpoint&&) noexcept;
  const std::filesystem::path& path() const;
  const nlohmann::json& meta() const;
  const std::vector<TensorEntry>& tensors() const;  ///< by name, ascending
  bool has(const std::string& name) const;
  const TensorEntry& entry(
      const std::string& name) const;  ///< throws Error (status 2) naming the tensor when there is none
  /// Fills the block; the global shape must agree, and the dtype, but that stored bf16 is widened for an f32 block.
  /// Everything read is compared with its checksum: throws Error (status 2) naming file and tensor when it was altered.
  void read(const tensor::Slice& slice) const;
  std::vector<std::filesystem::path> attachments() const;  ///< the files saved beside the tensors
  /// Reads everything and compares the checksums; throws naming file and tensor. `progress` is told the bytes read so
  /// far. Of several ranks each reads its share.
  void verify(const std::function<void(std::uint64_t bytes)>& progress = {}, int rank = 0, int ranks = 1) const;
  void verify_tensor(const std::string& name) const;  ///< the part of it that is one tensor
  /// The part of it that reading all tensors leaves out: HDF5's own records, and the attachments.
  void verify_rest(int rank = 0, int ranks = 1) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Is this folder an Eddy checkpoint (has a manifest)?
bool is_checkpoint(const std::filesystem::path& dir);
/// The complete checkpoints step-NNNNNNNN below `dir`, ascending; unfinished ones (*.tmp) are passed over.
std::vector<std::filesystem::path> list(const std::filesystem::path& dir);
/// The folders below `dir` that have a checkpoint's name and files but no manifest, ascending: a disk has lost it.
std::vector<std::filesystem::path> without_manifest(const std::filesystem::path& dir);
/// Which checkpoints stay.
struct Retention {
  int keep = 3;             ///< the newest, at least one
  std::uint64_t every = 0;  ///< and those whose step is a multiple of it; 0: none
  /// And this one, whatever else: known to be whole.
  std::filesystem::path always;
};
/// Removes the others, and left-over *.tmp folders (rank 0 only calls it). What goes loses its name before anything of
/// it is deleted. `files`: null is the disk.
void prune(const std::filesystem::path& dir, const Retention& retention, io::FileSystem* files = nullptr);
inline void prune(const std::filesystem::path& dir, int keep) {
  prune(dir, Retention{keep, 0, {}});
}
/// Takes a damaged checkpoint out of the list: renames it to `<name>.damaged` and returns that.
std::filesystem::path set_aside(const std::filesystem::path& checkpoint);

}  // namespace eddy::checkpoint
