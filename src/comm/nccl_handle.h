#pragma once
// Owned NCCL communicators. For sources of the CUDA build only.
#include <nccl.h>

#include <memory>
#include <string>

#include "base/dtype.h"
#include "comm/communicator.h"
#include "comm/gpu_watch.h"

namespace eddy::comm {

/// Throws Error (status 1) with NCCL's text, its last message and `where` unless `code` is ncclSuccess.
void check(ncclResult_t code, const std::string& where, ncclComm_t comm = nullptr);

/// bf16 is NCCL's own type; f8e4m3, which is moved but never summed, goes as bytes.
ncclDataType_t nccl_type(Dtype dtype);
ncclRedOp_t nccl_op(Reduce op);

class NcclHandle {
 public:
  /// Collective over the ranks that were given `id`. max_ctas: blocks that one kernel may take of the GPU (0: NCCL's
  /// choice).
  NcclHandle(const ncclUniqueId& id, const Place& place, int max_ctas, std::shared_ptr<GpuWatch> watch);
  /// Waits for its operations; while an exception unwinds it aborts them instead, lest freeing the GPU's memory wait
  /// for ranks that never come.
  ~NcclHandle();
  NcclHandle(const NcclHandle&) = delete;
  NcclHandle& operator=(const NcclHandle&) = delete;
  ncclComm_t get() const { return comm_; }

 private:
  Place place_;  // NCCL keeps a pointer to the name
  std::shared_ptr<GpuWatch> watch_;
  ncclComm_t comm_ = nullptr;
};

}  // namespace eddy::comm
