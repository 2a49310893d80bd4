#pragma once
// The copy of a rank's blocks that is written while training goes on.
#include <cstdint>
#include <memory>
#include <vector>

#include "device/gpu.h"
#include "device/stream.h"
#include "tensor/slice.h"

namespace eddy::checkpoint {

/// Host memory for one copy at a time, kept from save to save: page-locked where the blocks lie on a GPU.
class HostCopy {
 public:
  explicit HostCopy(device::Stream stream) : stream_(std::move(stream)) {}
  ~HostCopy();
  HostCopy(const HostCopy&) = delete;
  HostCopy& operator=(const HostCopy&) = delete;

  /// Copies the blocks, which lie where the stream runs, and returns them where they lie now; what the stream was given
  /// before is done first. Block i begins at an address that is offsets[i] modulo a page, so that whole pages of the
  /// file are whole pages of memory. Throws Error (status 1) where the memory cannot be had.
  std::vector<tensor::Slice> take(const std::vector<tensor::Slice>& blocks, const std::vector<std::uint64_t>& offsets,
                                  int threads);
  bool from_gpu() const { return stream_.on_gpu(); }
  std::size_t bytes() const { return bytes_; }  ///< of memory held

 private:
  void grow(std::size_t bytes);
  device::Stream stream_;
  std::unique_ptr<device::PinnedBuffer> pinned_;
  void* mapped_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace eddy::checkpoint
