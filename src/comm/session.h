#pragma once
// The life of an MPI program: initialise, run, and end cleanly or abort; never finalize while unwinding.
#include <functional>
#include <memory>
#include <string>

#include "comm/communicator.h"

namespace eddy::comm {

class Session {
 public:
  Session(int* argc, char*** argv);  ///< MPI_Init_thread(MPI_THREAD_MULTIPLE); configures the log with rank and size
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
  /// Seconds after which an operation that did not return ends the job (0: never).
  void set_timeout(double seconds);
  /// OpenMP and BLAS threads of this rank: `threads`, or, when 0, OMP_NUM_THREADS if set, else cores / ranks on this host.
  int set_threads(int threads);

 private:
  int rank_ = 0, size_ = 1, local_rank_ = 0, local_size_ = 1;
  std::string host_;
  std::unique_ptr<Communicator> world_;
};

/// Runs an MPI program's body. An exception prints rank, host and what is wrong. When all ranks end with the same
/// status within two seconds (bad options, a stop on request) MPI is finalized and every rank returns it; otherwise MPI_Abort.
int run_mpi_main(const std::string& program, int argc, char** argv, const std::function<int(Session&)>& body);

}  // namespace eddy::comm
