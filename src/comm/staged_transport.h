#pragma once
// comm.backend=mpi: data in a GPU's memory travel by way of page-locked host memory and the group's own operations
// there. Any number of ranks may share a GPU. The host waits for the stream in every call.
#include <memory>

#include "comm/device_transport.h"

namespace eddy::comm {

/// The transport to be attached to `host` itself, which must outlive it. Sums are those of the host: in rank order,
/// bf16 in float32. Its buffers are kept, and as large as the largest operation so far needed. A send's data leave the
/// GPU at once; Request::wait() waits for the receiver, as on the host.
std::unique_ptr<DeviceTransport> staged_transport(Communicator& host);

}  // namespace eddy::comm
