#pragma once
// Which GPU a rank computes on.
#include "comm/session.h"

namespace eddy::comm {

struct GpuChoice {
  int index = 0;    ///< as this process numbers its GPUs
  int sharing = 1;  ///< ranks on this GPU
};
/// The GPU of this rank's number on its host (SLURM_LOCALID, OMPI_COMM_WORLD_LOCAL_RANK, or MPI's shared-memory split);
/// where the launcher lets a rank see its own GPU only, that one; with fewer GPUs than ranks they are shared in turn.
/// Needs a GPU on every rank (device::gpu_count). Collective over the session's world.
GpuChoice choose_gpu(Session& session);

}  // namespace eddy::comm
