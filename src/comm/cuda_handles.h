#pragma once
// Owned CUDA events and streams. For sources of the CUDA build only.
#include <utility>

#include "device/cuda_check.h"

namespace eddy::comm {

/// A place in a stream's order; carries no time.
class Event {
 public:
  Event() { device::check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming)); }
  Event(Event&& o) noexcept : event_(std::exchange(o.event_, nullptr)) {}
  Event& operator=(Event&& o) noexcept {
    std::swap(event_, o.event_);
    return *this;
  }
  ~Event() {
    if (event_) (void)cudaEventDestroy(event_);
  }
  cudaEvent_t get() const { return event_; }
  void record(cudaStream_t stream) const { device::check(cudaEventRecord(event_, stream)); }
  /// What is enqueued on `stream` from now on waits for what was recorded last.
  void hold(cudaStream_t stream) const { device::check(cudaStreamWaitEvent(stream, event_, 0)); }

 private:
  cudaEvent_t event_ = nullptr;
};

/// A stream beside the one that computes, served before it where both have blocks to run.
class SideStream {
 public:
  SideStream() {
    int lowest = 0, highest = 0;
    device::check(cudaDeviceGetStreamPriorityRange(&lowest, &highest));
    device::check(cudaStreamCreateWithPriority(&stream_, cudaStreamNonBlocking, highest));
  }
  SideStream(SideStream&& o) noexcept : stream_(std::exchange(o.stream_, nullptr)) {}
  SideStream& operator=(SideStream&& o) noexcept {
    std::swap(stream_, o.stream_);
    return *this;
  }
  ~SideStream() {
    if (stream_) (void)cudaStreamDestroy(stream_);
  }
  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

}  // namespace eddy::comm
