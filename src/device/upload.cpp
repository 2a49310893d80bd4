#include "device/upload.h"

#include <cstring>

#ifdef EDDY_WITH_CUDA
#include <array>
#include <memory>

#include "device/cuda_check.h"
#include "device/gpu.h"
#endif

namespace eddy::device {

#ifdef EDDY_WITH_CUDA
namespace {

/// A stream's page-locked memory.
class Stages {
 public:
  explicit Stages(const Stream&) {
    for (Stage& s : stages_) check(cudaEventCreateWithFlags(&s.done, cudaEventDisableTiming));
  }
  ~Stages() {
    for (Stage& s : stages_) {
      (void)cudaEventSynchronize(s.done);
      (void)cudaEventDestroy(s.done);
    }
  }
  Stages(const Stages&) = delete;
  Stages& operator=(const Stages&) = delete;

  struct Stage {
    cudaEvent_t done = nullptr;
    std::unique_ptr<PinnedBuffer> memory;
  };
  /// The next one, with room for so much, its last copies done.
  Stage& next(std::size_t bytes) {
    Stage& s = stages_[turn_++ % stages_.size()];
    check(cudaEventSynchronize(s.done));  // of an event never recorded: at once
    if (!s.memory || s.memory->size() < bytes) {
      s.memory.reset();
      s.memory = std::make_unique<PinnedBuffer>(bytes);
    }
    return s;
  }

 private:
  std::array<Stage, 4> stages_;
  std::size_t turn_ = 0;
};

constexpr std::size_t aligned(std::size_t bytes) {
  return (bytes + 255) / 256 * 256;
}

}  // namespace
#endif

void upload(const Stream& stream, std::span<const Upload> copies) {
#ifdef EDDY_WITH_CUDA
  if (stream.on_gpu()) {
    std::size_t bytes = 0;
    for (const Upload& c : copies) bytes += aligned(c.bytes);
    if (bytes == 0) return;
    Stages::Stage& stage = stream.state<Stages>().next(bytes);
    auto* at = static_cast<std::byte*>(stage.memory->data());
    for (const Upload& c : copies) {
      if (c.bytes == 0) continue;
      std::memcpy(at, c.from, c.bytes);
      check(cudaMemcpyAsync(c.to, at, c.bytes, cudaMemcpyHostToDevice, native(stream)));
      at += aligned(c.bytes);
    }
    check(cudaEventRecord(stage.done, native(stream)));
    return;
  }
#else
  (void)stream;
#endif
  for (const Upload& c : copies)
    if (c.bytes) std::memcpy(c.to, c.from, c.bytes);
}

}  // namespace eddy::device
