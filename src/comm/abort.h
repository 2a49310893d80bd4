#pragma once
// The end of a job that cannot go on: one rank speaks, then MPI_Abort.
#include <functional>
#include <mutex>
#include <string>

#include "comm/mpi_handle.h"

namespace eddy::comm {

class Abort {
 public:
  /// `control`: a communicator of all ranks that nothing else sends messages on; empty for one rank alone.
  Abort(MpiHandle control, int rank, int size) : control_(std::move(control)), rank_(rank), size_(size) {}

  /// Prints `message` and aborts the job with `status`. Many ranks often see one trouble at the same moment: the lower
  /// the rank the sooner it speaks, and a rank that hears of another's message keeps its own to itself. `last` is
  /// called between the two. Any thread.
  [[noreturn]] void now(int status, const std::string& message, const std::function<void()>& last = {});
  /// Waits for another rank to abort the job; does so itself after a while.
  [[noreturn]] void await(int status);
  /// Aborts the job in silence.
  [[noreturn]] void end(int status);

  MPI_Comm control() const { return control_.get(); }

 private:
  bool announced() const;
  void announce() const;
  MpiHandle control_;
  int rank_, size_;
  std::mutex mutex_;  ///< held to the end by the first thread that aborts
};

/// From now on this process does not call MPI_Finalize, in which a library would crash; several ranks end by MPI_Abort.
void forbid_finalize() noexcept;
bool may_finalize() noexcept;

}  // namespace eddy::comm
