#pragma once
// Attaches to the groups of a job what carries a GPU's data to other ranks.
#include <memory>
#include <string>

#include "comm/backend.h"
#include "comm/communicator.h"

namespace eddy::comm {

class Nccl;

/// Whom a group's ranks send messages to (isend, recv): collectives need nothing.
enum class Messages { none, neighbours };  ///< neighbours: ranks r and r ± 1 of the group, as pipeline stages do

class Transports {
 public:
  /// The calling thread's GPU is this rank's (device::open_gpu). Collective over `world`, the parent of all groups to
  /// come. Throws Error (status 2) on every rank where NCCL is asked for and ranks share a GPU.
  Transports(Communicator& world, Backend backend);
  ~Transports();
  Transports(const Transports&) = delete;
  Transports& operator=(const Transports&) = delete;

  Backend backend() const { return backend_; }  ///< nccl or mpi
  /// Collective over `group`; all ranks attach their groups in one order. What is attached outlives this object.
  void attach(Communicator& group, Messages messages = Messages::none);
  /// Gives the group's collectives on `lane` a transport of their own. Collective as attach(), after it.
  void attach_lane(Communicator& group, const device::Stream& lane);

 private:
  Backend backend_;
  std::shared_ptr<Nccl> nccl_;
};

/// The first ranks found to compute on one GPU, as "ranks 0 and 4 of 8 compute on one GPU (3 GPUs in all)"; empty where
/// each has a GPU of its own. Collective.
std::string shared_gpu(Communicator& world);

}  // namespace eddy::comm
