#pragma once
// The GPUs of this machine. A program built with CUDA starts on a machine without a driver, and says so here.
#include <cstddef>
#include <string>

#include "device/stream.h"

namespace eddy::device {

/// GPUs that this process may use. 0 with the reason in `why` (may be null): built without CUDA, no driver, a driver
/// older than the toolkit, none visible (CUDA_VISIBLE_DEVICES).
int gpu_count(std::string* why = nullptr);

struct GpuInfo {
  std::string name;          ///< "NVIDIA H100 80GB HBM3"
  int major = 0, minor = 0;  ///< compute capability
  int multiprocessors = 0;
  std::size_t total_bytes = 0, free_bytes = 0;
  std::string driver;  ///< CUDA version the driver supports, "13.0"
  std::string uuid;    ///< tells GPUs of a host apart whatever CUDA_VISIBLE_DEVICES says
};
/// Makes the GPU the calling thread's and asks it. Throws Error (status 2) for an index that is not there or an
/// architecture that Eddy has no kernels for (below 8.0).
GpuInfo gpu_info(int index);

/// A stream on the GPU with `bytes` of its memory, taken now and at once. Throws Error (status 1) where it cannot be
/// had.
Stream open_gpu(int index, std::size_t bytes);

/// Page-locked host memory: copies to and from the GPU run at the bus's speed. Without CUDA ordinary memory.
class PinnedBuffer {
 public:
  explicit PinnedBuffer(std::size_t bytes);
  ~PinnedBuffer();
  PinnedBuffer(const PinnedBuffer&) = delete;
  PinnedBuffer& operator=(const PinnedBuffer&) = delete;
  void* data() const { return data_; }
  std::size_t size() const { return bytes_; }

 private:
  void* data_;
  std::size_t bytes_;
};

/// A copy from where the stream runs to page-locked memory, without waiting: done when the stream was synchronised,
/// until when both sides must stay. Many short ones follow one another without a gap. On the CPU done at once.
void enqueue_to_host(const Stream& stream, const void* from, void* pinned, std::size_t bytes);

}  // namespace eddy::device
