#pragma once
// Notices work on a GPU that does not end: NCCL's calls return once they are enqueued, so one thread a process looks at
// events around each of them, and at NCCL's own errors. For sources of the CUDA build only.
#include <nccl.h>

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "comm/cuda_handles.h"
#include "comm/watchdog.h"

namespace eddy::comm {

/// A rank's place in a group, for messages.
struct Place {
  std::string group;  ///< "tp{0,1}"
  int rank, size;
};

/// An operation's time runs from when the GPU comes to it, so what was enqueued before it does not count. One that
/// outlasts comm.timeout_s, an error that NCCL reports and a GPU that stops answering end the job by Watchdog::report,
/// naming operation, group and rank; NCCL's communicators are aborted then, so that nothing waits for its kernels.
class GpuWatch {
 public:
  /// Watches the calling thread's GPU. Null: watches nothing.
  explicit GpuWatch(std::shared_ptr<Watchdog> watchdog);
  ~GpuWatch();
  GpuWatch(const GpuWatch&) = delete;
  GpuWatch& operator=(const GpuWatch&) = delete;

  Watchdog* watchdog() const { return watchdog_.get(); }
  void add(ncclComm_t comm, const Place& place);
  /// Forgets the communicator and its operations.
  void remove(ncclComm_t comm);

  /// Covers the enqueuing of one operation: the call on the host is watched while it lives, the work until it is done.
  class Guard {
   public:
    Guard(GpuWatch& watch, const char* name, std::shared_ptr<const Place> place, ncclComm_t comm, cudaStream_t stream);
    ~Guard();
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    GpuWatch& watch_;
    const char* name_;
    std::shared_ptr<const Place> place_;
    ncclComm_t comm_;
    cudaStream_t stream_;
    std::optional<Event> begin_, end_;
    Watchdog::Guard on_host_;
  };

 private:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    const char* name;
    std::shared_ptr<const Place> place;
    ncclComm_t comm;
    Event begin, end;
    std::optional<Clock::time_point> started;  ///< when `begin` was first seen to be reached
  };
  void watch();
  std::optional<std::string> trouble();
  std::optional<std::string> trouble_of(std::deque<Entry>& entries, double timeout);
  std::optional<std::string> trouble_of(ncclComm_t comm, const Place& place);
  void abort_all() const;
  Event spare();

  std::shared_ptr<Watchdog> watchdog_;
  int gpu_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;
  std::map<cudaStream_t, std::deque<Entry>> streams_;  ///< operations that were not yet seen to end, in stream order
  std::map<ncclComm_t, Place> comms_;
  std::vector<Event> spares_;
  std::thread thread_;
};

}  // namespace eddy::comm
