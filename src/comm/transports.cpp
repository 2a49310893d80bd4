#include "comm/transports.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/log.h"
#include "comm/mpi_communicator.h"
#include "comm/self_transport.h"
#include "comm/staged_transport.h"

#ifdef EDDY_WITH_CUDA
#include "comm/nccl_transport.h"
#include "device/cuda_check.h"
#include "device/gpu.h"
#endif

namespace eddy::comm {
#ifdef EDDY_WITH_CUDA

std::string shared_gpu(Communicator& world) {
  if (world.size() == 1) return {};
  int index = 0;
  device::check(cudaGetDevice(&index));
  struct Own {
    char uuid[32] = {};
    int rank = 0;
  } own;
  own.rank = world.rank();
  const std::string uuid = device::gpu_info(index).uuid;
  std::memcpy(own.uuid, uuid.data(), std::min(uuid.size(), sizeof own.uuid));
  std::vector<Own> all(static_cast<std::size_t>(world.size()));
  const Watchdog::Guard guard(watchdog_of(world).get(), "all_gather of GPUs", world.name(), world.rank(), world.size());
  check(MPI_Allgather(&own, sizeof own, MPI_BYTE, all.data(), sizeof own, MPI_BYTE, mpi_comm(world)));
  const auto same = [](const Own& a, const Own& b) { return std::memcmp(a.uuid, b.uuid, sizeof a.uuid) == 0; };
  std::sort(all.begin(), all.end(), [](const Own& a, const Own& b) {
    const int order = std::memcmp(a.uuid, b.uuid, sizeof a.uuid);
    return order != 0 ? order < 0 : a.rank < b.rank;
  });
  const auto first = std::adjacent_find(all.begin(), all.end(), same);
  if (first == all.end()) return {};
  const int a = first->rank, b = (first + 1)->rank;
  const auto gpus = std::unique(all.begin(), all.end(), same) - all.begin();
  return fmt::format("ranks {} and {} of {} compute on one GPU ({} GPU{} in all)", a, b, world.size(), gpus,
                     gpus == 1 ? "" : "s");
}

Transports::Transports(Communicator& world, Backend backend) : backend_(backend) {
  if (backend_ == Backend::mpi) return;
  const std::string shared = shared_gpu(world);
  if (backend_ == Backend::nccl && !shared.empty())
    fail_input(
        "comm.backend=nccl: {}: there are fewer GPUs than ranks, and NCCL needs one for each. Start fewer ranks "
        "a host (or let the launcher show each its own GPU), or give comm.backend=mpi, by which ranks may share",
        shared);
  if (!shared.empty())
    log::info("{}: data go between ranks by way of the host's memory (comm.backend=mpi), which is slow", shared);
  backend_ = shared.empty() ? Backend::nccl : Backend::mpi;
  if (backend_ == Backend::nccl) nccl_ = std::make_shared<Nccl>(watchdog_of(world));
}

void Transports::attach(Communicator& group, Messages messages) {
  if (group.size() == 1)
    group.attach(self_transport());
  else if (nccl_)
    group.attach(nccl_->transport(group, messages));
  else
    group.attach(staged_transport(group));
}

void Transports::attach_lane(Communicator& group, const device::Stream& lane) {
  if (group.size() > 1 && nccl_) group.attach(nccl_->lane_transport(group, lane), lane);
}

#else

std::string shared_gpu(Communicator&) {
  return {};
}
Transports::Transports(Communicator&, Backend) : backend_(Backend::mpi) {}
void Transports::attach(Communicator& group, Messages) {
  group.attach(staged_transport(group));
}
void Transports::attach_lane(Communicator&, const device::Stream&) {}

#endif

Transports::~Transports() = default;

}  // namespace eddy::comm
