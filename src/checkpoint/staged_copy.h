#pragma once
// The copy of a rank's blocks that is written while training goes on, in a file of the node's own disk: for where host
// memory has no room for one.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/chunk_reader.h"
#include "device/gpu.h"
#include "io/file.h"
#include "io/file_system.h"
#include "tensor/slice.h"

namespace eddy::checkpoint {

/// One copy at a time. Its file loses its name as soon as it is open: the system gives the space back when this process
/// ends, however it ends, and neither another rank of the node nor another run can meet it.
class StagedCopy {
 public:
  explicit StagedCopy(device::Stream stream) : stream_(std::move(stream)) {}

  /// How the file is written.
  struct Options {
    int threads = 4;
    bool direct = true;
  };
  /// Copies the blocks, which lie where the stream runs, into a file in `folder`, by way of some page-locked memory,
  /// and keeps the checksums of their pieces. Block i begins at a place that is offsets[i] modulo a page. Throws Error
  /// (status 1) where the folder cannot take them; nothing is held then.
  void take(io::FileSystem& files, const std::filesystem::path& folder, const std::vector<tensor::Slice>& blocks,
            const std::vector<std::uint64_t>& offsets, const Options& options);
  bool held() const { return file_.get() >= 0; }
  void release();  ///< gives the space back

  /// The checksums of a block's pieces, taken before they were written here.
  const std::vector<std::uint64_t>& hashes(std::size_t block) const { return blocks_[block].hashes; }
  /// Bytes [first, first + bytes) of a block, `first` at the begin of a piece; `pages` is the calling thread's. Throws
  /// Error (status 1) naming the tensor where they are not what was copied.
  void read(std::size_t block, std::uint64_t first, std::uint64_t bytes, char* out, PageBuffer& pages) const;

 private:
  struct Block {
    std::string tensor;
    std::uint64_t at, bytes;  // in the file
    std::vector<std::uint64_t> hashes;
  };
  struct Part;
  std::uint64_t place(const std::vector<tensor::Slice>& blocks, const std::vector<std::uint64_t>& offsets);
  void copy(io::OutputFile& file, const std::vector<tensor::Slice>& blocks, int threads);
  void write(io::OutputFile& file, const std::vector<Part>& parts, int threads);

  device::Stream stream_;
  std::unique_ptr<device::PinnedBuffer> buffers_[2];  // one is filled while the other is written
  std::filesystem::path folder_;
  io::Descriptor file_, direct_;
  std::vector<Block> blocks_;
};

}  // namespace eddy::checkpoint
