#pragma once
// comm.backend=nccl: data go from GPU to GPU, enqueued by NCCL on the caller's stream; each rank has a GPU of its own.
// For sources of the CUDA build only.
#include <map>
#include <memory>
#include <vector>

#include "comm/device_transport.h"
#include "comm/gpu_watch.h"
#include "comm/nccl_handle.h"
#include "comm/transports.h"

namespace eddy::comm {

/// Makes the NCCL transports of one process. NCCL's communicators are bootstrapped over the groups' own MPI
/// communicators. Groups with the same ranks (a stage of one expert-parallel group, say) share one: all their
/// operations are enqueued in the order of the program, which is the same on all of their ranks.
///
/// Environment, where it is not set already: NCCL_NVLS_ENABLE=0 (multicast over NVLink needs a fabric manager's
/// leave, and several tenants of one host cannot share it).
///
/// Results: sums of bf16 are rounded at every step of NCCL's ring, those of the other backends once; an order of
/// summation is NCCL's choice by size and topology, the same in each run.
///
/// Collectives of a lane (device/lane.h) have communicators of their own: on one communicator NCCL keeps all operations
/// in one order, whatever their streams. Kernels of two communicators may begin in any order on two GPUs, each waiting
/// for its peer; none waits for ever, since all of them have room on a GPU at once (docs/decisions/gpu.md counts).
///
/// Messages have a two-rank communicator of their own for each direction between neighbours, and sends a stream of
/// their own: a send waits (by an event) for what was enqueued before it, and holds up nothing that is enqueued
/// later. On one communicator or one stream two neighbours that first send to each other, as 1F1B's steady state
/// does, would wait for ever. A receive is enqueued on the caller's stream, whose later work needs the data. So a
/// program that cannot deadlock with buffered sends and blocking receives on the host cannot here. What would block
/// the host, NCCL's connecting of two ranks at their first message, is done when the transport is made.
class Nccl {
 public:
  explicit Nccl(std::shared_ptr<Watchdog> watchdog);
  /// Collective over the group, of two ranks or more.
  std::unique_ptr<DeviceTransport> transport(Communicator& group, Messages messages);
  /// For collectives on a stream beside the computation's; groups with the same ranks share NCCL's communicator among
  /// themselves, on that lane. Collective over the group, of two ranks or more.
  std::unique_ptr<DeviceTransport> lane_transport(Communicator& group, const device::Stream& lane);

 private:
  using Made = std::map<std::vector<int>, std::weak_ptr<NcclHandle>>;  ///< by ranks of MPI_COMM_WORLD
  std::shared_ptr<NcclHandle> handle(Communicator& group, const Place& place, int max_ctas, Made& made);
  std::shared_ptr<GpuWatch> watch_;
  Made made_;
  std::map<void*, Made> made_for_lanes_;  ///< by the native stream
};

}  // namespace eddy::comm
