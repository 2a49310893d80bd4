#include "comm/gpu_watch.h"

#include <algorithm>
#include <atomic>
#include <chrono>

#include "base/error.h"
#include "base/units.h"

namespace eddy::comm {
using namespace std::chrono_literals;

GpuWatch::GpuWatch(std::shared_ptr<Watchdog> watchdog) : watchdog_(std::move(watchdog)) {
  if (!watchdog_) return;
  device::check(cudaGetDevice(&gpu_));
  thread_ = std::thread([this] { watch(); });
}

GpuWatch::~GpuWatch() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void GpuWatch::add(ncclComm_t comm, const Place& place) {
  const std::lock_guard lock(mutex_);
  comms_.emplace(comm, place);
}

void GpuWatch::remove(ncclComm_t comm) {
  const std::lock_guard lock(mutex_);
  comms_.erase(comm);
  for (auto& [stream, entries] : streams_)
    entries.erase(std::remove_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.comm == comm; }),
                  entries.end());
}

/// An event of a finished operation, or a new one. The lock is held.
Event GpuWatch::spare() {
  if (spares_.empty()) return {};
  Event e = std::move(spares_.back());
  spares_.pop_back();
  return e;
}

GpuWatch::Guard::Guard(GpuWatch& watch, const char* name, std::shared_ptr<const Place> place, ncclComm_t comm,
                       cudaStream_t stream)
    : watch_(watch),
      name_(name),
      place_(std::move(place)),
      comm_(comm),
      stream_(stream),
      on_host_(watch.watchdog(), name, place_->group, place_->rank, place_->size) {
  if (!watch_.watchdog_) return;
  {
    const std::lock_guard lock(watch_.mutex_);
    begin_ = watch_.spare();
    end_ = watch_.spare();
  }
  begin_->record(stream_);
}

GpuWatch::Guard::~Guard() {
  // An event that cannot be recorded: the GPU's error meets the next call that is checked.
  if (!begin_ || std::uncaught_exceptions() > 0 || cudaEventRecord(end_->get(), stream_) != cudaSuccess) return;
  const std::lock_guard lock(watch_.mutex_);
  watch_.streams_[stream_].push_back({name_, std::move(place_), comm_, std::move(*begin_), std::move(*end_), {}});
}

void GpuWatch::watch() {
  (void)cudaSetDevice(gpu_);                 // else a first query would begin a context on GPU 0
  auto mode = cudaStreamCaptureModeRelaxed;  // queries here must not break another thread's capture of a graph
  (void)cudaThreadExchangeStreamCaptureMode(&mode);
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (const auto what = trouble()) {
      // The lock stays taken: whatever the other threads were about to enqueue or free, the job ends here.
      watchdog_->report(*what, [this] { abort_all(); });
      return;
    }
    const double timeout = watchdog_->timeout();
    changed_.wait_for(lock, timeout > 0 ? std::chrono::duration<double>(std::clamp(timeout / 10, 0.01, 0.1))
                                        : std::chrono::duration<double>(0.1));
  }
}

std::optional<std::string> GpuWatch::trouble() {
  // An error that NCCL knows of says more than the operations that do not end because of it.
  for (const auto& [comm, place] : comms_)
    if (auto what = trouble_of(comm, place)) return what;
  const double timeout = watchdog_->timeout();
  for (auto& [stream, entries] : streams_)
    if (auto what = trouble_of(entries, timeout)) return what;
  return {};
}

std::optional<std::string> GpuWatch::trouble_of(std::deque<Entry>& entries, double timeout) {
  while (!entries.empty()) {
    Entry& e = entries.front();
    const auto gpu_failed = [&](cudaError_t code) {
      return fmt::format("the GPU failed: {} ({}), noticed at {} on {} (rank {} of {})", cudaGetErrorString(code),
                         cudaGetErrorName(code), e.name, e.place->group, e.place->rank, e.place->size);
    };
    const cudaError_t end = cudaEventQuery(e.end.get());
    if (end == cudaSuccess) {
      spares_.push_back(std::move(e.begin));
      spares_.push_back(std::move(e.end));
      entries.pop_front();
      continue;
    }
    if (end != cudaErrorNotReady) return gpu_failed(end);
    if (!e.started) {
      const cudaError_t begin = cudaEventQuery(e.begin.get());
      if (begin == cudaSuccess)
        e.started = Clock::now();
      else if (begin != cudaErrorNotReady)
        return gpu_failed(begin);
      return {};
    }
    const double age = std::chrono::duration<double>(Clock::now() - *e.started).count();
    if (timeout > 0 && age >= timeout)
      return fmt::format(
          "{} on {} has not ended on the GPU for {}: rank {} of {} in that group. Another rank of the group died, "
          "hangs, "
          "or never came to this call (see its output); if the work is only slow, raise comm.timeout_s",
          e.name, e.place->group, duration(age), e.place->rank, e.place->size);
    return {};
  }
  return {};
}

std::optional<std::string> GpuWatch::trouble_of(ncclComm_t comm, const Place& place) {
  ncclResult_t state = ncclSuccess;
  ncclResult_t code = ncclCommGetAsyncError(comm, &state);
  if (code == ncclSuccess) code = state;
  if (code == ncclSuccess || code == ncclInProgress) return {};
  const char* operation = "no operation";
  for (const auto& [stream, entries] : streams_)
    for (const Entry& e : entries)
      if (e.comm == comm && e.started) operation = e.name;
  const char* detail = ncclGetLastError(comm);
  return fmt::format("NCCL reports: {}{}{}, with {} under way on {} (rank {} of {}; NCCL_DEBUG=WARN says more)",
                     ncclGetErrorString(code), detail && *detail ? ": " : "", detail ? detail : "", operation,
                     place.group, place.rank, place.size);
}

/// Ends NCCL's kernels, which would else keep the GPU until the driver tears the process down. Bounded in time: the
/// job ends in any case.
void GpuWatch::abort_all() const {
  std::vector<ncclComm_t> comms;
  for (const auto& [comm, place] : comms_) comms.push_back(comm);
  const auto done = std::make_shared<std::atomic<bool>>(false);
  std::thread([comms, done, gpu = gpu_] {
    (void)cudaSetDevice(gpu);
    for (const ncclComm_t comm : comms) (void)ncclCommAbort(comm);
    *done = true;
  }).detach();
  for (int i = 0; i < 200 && !*done; ++i) std::this_thread::sleep_for(10ms);
}

}  // namespace eddy::comm
