#pragma once
// Tasks dealt out one by one to whichever rank asks next: balance for work whose length nobody knows beforehand.
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>

#include "comm/communicator.h"
#include "comm/mpi_handle.h"

namespace eddy::comm {

/// Numbers 0 .. tasks-1, each to one rank, in ascending order over the whole group. A thread of rank 0 answers (MPI
/// must have been initialised for several threads, as Session does), so that rank 0 may work as long as it likes on its
/// own.
class WorkQueue {
 public:
  /// Collective.
  WorkQueue(Communicator& world, std::uint64_t tasks);
  /// Rank 0 waits here until every other rank's queue has gone.
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  /// This rank's next task; nothing when all are dealt out, or a rank has stopped the queue.
  std::optional<std::uint64_t> next();
  /// No rank gets another task.
  void stop();
  /// On rank 0: how many tasks have been dealt out. On others: what its last task was, plus one.
  std::uint64_t dealt() const;

 private:
  void answer();
  std::uint64_t take();
  std::uint64_t tasks_;
  int rank_, size_;
  std::atomic<std::uint64_t> next_{0};
  std::atomic<bool> stopped_{false};
  MpiHandle comm_;
  std::thread thread_;
};

}  // namespace eddy::comm
