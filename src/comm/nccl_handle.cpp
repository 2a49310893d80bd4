#include "comm/nccl_handle.h"

#include <exception>

#include "base/error.h"

namespace eddy::comm {

void check(ncclResult_t code, const std::string& where, ncclComm_t comm) {
  if (code == ncclSuccess) return;
  const char* detail = ncclGetLastError(comm);
  fail_run("{}: NCCL reports: {}{}{} (NCCL_DEBUG=WARN says more)", where, ncclGetErrorString(code),
           detail && *detail ? ": " : "", detail ? detail : "");
}

ncclDataType_t nccl_type(Dtype dtype) {
  switch (dtype) {
    case Dtype::f32:
      return ncclFloat32;
    case Dtype::f64:
      return ncclFloat64;
    case Dtype::bf16:
      return ncclBfloat16;
    case Dtype::i32:
      return ncclInt32;
    case Dtype::i64:
      return ncclInt64;
    case Dtype::f8e4m3:
    case Dtype::u8:
      break;
  }
  return ncclUint8;
}

ncclRedOp_t nccl_op(Reduce op) {
  return op == Reduce::sum ? ncclSum : op == Reduce::max ? ncclMax : ncclMin;
}

NcclHandle::NcclHandle(const ncclUniqueId& id, const Place& place, int max_ctas, std::shared_ptr<GpuWatch> watch)
    : place_(place), watch_(std::move(watch)) {
  const Watchdog::Guard guard(watch_->watchdog(), "ncclCommInitRank", place_.group, place_.rank, place_.size);
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 1;  // the watchdog ends a job whose ranks do not all come
  config.commName = place_.group.c_str();
  if (max_ctas > 0) config.maxCTAs = max_ctas;
  check(ncclCommInitRankConfig(&comm_, place_.size, id, place_.rank, &config),
        fmt::format("ncclCommInitRank on {} (rank {} of {})", place_.group, place_.rank, place_.size));
  watch_->add(comm_, place_);
}

NcclHandle::~NcclHandle() {
  watch_->remove(comm_);
  if (std::uncaught_exceptions() > 0) {
    (void)ncclCommAbort(comm_);
    return;
  }
  const Watchdog::Guard guard(watch_->watchdog(), "ncclCommDestroy", place_.group, place_.rank, place_.size);
  (void)ncclCommDestroy(comm_);
}

}  // namespace eddy::comm
