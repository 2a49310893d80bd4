#include "device/lane.h"

#ifdef EDDY_WITH_CUDA
#include "device/cuda_check.h"
#endif

namespace eddy::device {

#ifdef EDDY_WITH_CUDA
namespace {

/// Kept by the stream that it lies beside.
template <Lane kind>
struct Beside {
  explicit Beside(const Stream&) {
    int lowest = 0, highest = 0;
    check(cudaDeviceGetStreamPriorityRange(&lowest, &highest));
    check(cudaStreamCreateWithPriority(&native, cudaStreamNonBlocking, highest));
    stream = Stream(native, nullptr);
  }
  ~Beside() { (void)cudaStreamDestroy(native); }
  Beside(const Beside&) = delete;
  Beside& operator=(const Beside&) = delete;
  cudaStream_t native = nullptr;
  Stream stream;
};

}  // namespace

Stream lane(const Stream& stream, Lane kind) {
  if (!stream.on_gpu()) return stream;
  return kind == Lane::rows ? stream.state<Beside<Lane::rows>>().stream : stream.state<Beside<Lane::state>>().stream;
}

struct Mark::Event {
  Event() { check(cudaEventCreateWithFlags(&native, cudaEventDisableTiming)); }
  ~Event() { (void)cudaEventDestroy(native); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  cudaEvent_t native = nullptr;
};

void Mark::set(const Stream& stream) {
  if (!stream.on_gpu()) return;
  if (!event_) event_ = std::make_unique<Event>();
  check(cudaEventRecord(event_->native, native(stream)));
}
void Mark::hold(const Stream& stream) const {
  if (event_) check(cudaStreamWaitEvent(native(stream), event_->native, 0));
}
#else
Stream lane(const Stream& stream, Lane) {
  return stream;
}
struct Mark::Event {};
void Mark::set(const Stream&) {}
void Mark::hold(const Stream&) const {}
#endif

Mark::Mark() = default;
Mark::Mark(Mark&&) noexcept = default;
Mark& Mark::operator=(Mark&&) noexcept = default;
Mark::~Mark() = default;

}  // namespace eddy::device
