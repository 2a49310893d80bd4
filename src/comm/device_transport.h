#pragma once
// How data in a GPU's memory travel between the ranks of one group. A Communicator holds one, checks the arguments and
// counts the bytes; its documentation says what each operation does.
#include "comm/communicator.h"

namespace eddy::comm {

/// Each call enqueues its work on `stream`, a CUDA stream.
class DeviceTransport {
 public:
  virtual ~DeviceTransport() = default;
  virtual const char* name() const = 0;  ///< "nccl", "mpi"
  virtual void broadcast(void* data, std::size_t count, Dtype dtype, int root, const device::Stream& stream) = 0;
  virtual void all_reduce(void* data, std::size_t count, Dtype dtype, Reduce op, const device::Stream& stream) = 0;
  virtual void all_gather_v(const void* in, void* out, std::span<const std::size_t> counts, Dtype dtype,
                            const device::Stream& stream) = 0;
  virtual void reduce_scatter_v(const void* in, void* out, std::span<const std::size_t> counts, Dtype dtype,
                                const device::Stream& stream) = 0;
  virtual void all_to_all_v(const void* in, std::span<const std::size_t> send_counts, void* out,
                            std::span<const std::size_t> recv_counts, Dtype dtype, const device::Stream& stream) = 0;
  virtual std::unique_ptr<Request> isend(const void* data, std::size_t count, Dtype dtype, int peer, int tag,
                                         const device::Stream& stream) = 0;
  virtual void recv(void* data, std::size_t count, Dtype dtype, int peer, int tag, const device::Stream& stream) = 0;
};

}  // namespace eddy::comm
