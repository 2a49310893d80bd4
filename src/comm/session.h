#pragma once
// The life of an MPI program: initialise, run, and end cleanly or abort; never finalize while unwinding.
#include <functional>
#include <memory>
#include <string>

#include "comm/communicator.h"

namespace eddy::comm {

class Session {
 public:
  /// MPI_Init_thread(MPI_THREAD_MULTIPLE); configures the log with rank and size. Where MPI is initialised already (a
  /// test's main) it is used, and not finalized at the end. Collective over the job's ranks.
  explicit Session(int* argc = nullptr, char*** argv = nullptr);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  Communicator& world() { return *world_; }
  /// Rank within this host, and ranks on it (SLURM_LOCALID, OMPI_COMM_WORLD_LOCAL_RANK, or MPI's shared-memory split).
  int local_rank() const { return local_rank_; }
  int local_size() const { return local_size_; }
  const std::string& host() const { return host_; }
  /// Seconds after which an operation that did not return ends the job (0: never, which is how a session begins).
  void set_timeout(double seconds);
  /// OpenMP and BLAS threads of this rank: `threads`, or, when 0, OMP_NUM_THREADS if set, else the cores this rank may
  /// use (cores / ranks on this host where ranks are not bound). Returns the number.
  int set_threads(int threads);

  /// How run_mpi_main ends: agrees with the other ranks on `status` and returns it, or prints `message` and aborts the
  /// job.
  int finish(int status, const std::string& message);

 private:
  struct State;
  int rank_ = 0, size_ = 1, local_rank_ = 0, local_size_ = 1, cores_ = 1;
  std::string host_;
  std::unique_ptr<State> state_;
  std::unique_ptr<Communicator> world_;
};

/// Runs an MPI program's body. An exception prints rank, host and what is wrong. When all ranks end with the same
/// status within two seconds (bad options, a stop on request) rank 0's message is printed, MPI is finalized and every
/// rank returns it; otherwise the failing rank's message is printed and the job aborts with its status. Ranks that end
/// with 0 or 75 wait for the others without limit.
int run_mpi_main(const std::string& program, int argc, char** argv, const std::function<int(Session&)>& body);

}  // namespace eddy::comm
