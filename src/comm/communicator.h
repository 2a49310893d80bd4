#pragma once
// Messages between the ranks of one group, behind one interface: MPI for data in host memory, an attached transport
// (NCCL, or MPI by way of the host) for data in a GPU's.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "device/stream.h"

namespace eddy::comm {

enum class Reduce { sum, max, min };

/// A send that is under way; its buffer must stay until wait() returned. Waits in the destructor.
class Request {
 public:
  virtual ~Request() = default;
  virtual void wait() = 0;
};

class DeviceTransport;

/// A group of ranks. Counts are elements of `dtype`. All members call a collective in the same order.
/// The stream says where the data lie. A CPU stream: in host memory, and a call returns with its work done. A CUDA
/// stream: in that GPU's memory, and the call is enqueued by the attached transport: its results are there for what is
/// enqueued on that stream later, and its buffers are in use until then.
/// Every call is watched: one that outlasts comm.timeout_s ends the job, naming operation, group and rank.
class Communicator {
 public:
  virtual ~Communicator();
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  const std::string& name() const { return name_; }

  virtual void barrier() = 0;  ///< of the hosts: says nothing about work on GPUs
  void broadcast(void* data, std::size_t count, Dtype dtype, int root, const device::Stream& stream = {});
  /// In place.
  void all_reduce(void* data, std::size_t count, Dtype dtype, Reduce op, const device::Stream& stream = {});
  /// out [size × count]; `in` may lie at its own place in `out`.
  void all_gather(const void* in, void* out, std::size_t count, Dtype dtype, const device::Stream& stream = {});
  /// Rank r contributes counts[r] elements; out is their concatenation. `in` may lie at its own place in `out`.
  void all_gather_v(const void* in, void* out, std::span<const std::size_t> counts, Dtype dtype,
                    const device::Stream& stream = {});
  /// in [size × count] is summed over the ranks; rank r gets block r in out [count]. `out` may be the rank's own block
  /// of `in`, else they may not overlap.
  void reduce_scatter(const void* in, void* out, std::size_t count, Dtype dtype, const device::Stream& stream = {});
  /// The same with blocks of counts[r] elements.
  void reduce_scatter_v(const void* in, void* out, std::span<const std::size_t> counts, Dtype dtype,
                        const device::Stream& stream = {});
  /// count elements a pair of ranks
  void all_to_all(const void* in, void* out, std::size_t count, Dtype dtype, const device::Stream& stream = {});
  /// Blocks lie one after the other in rank order in both buffers, which may not overlap.
  void all_to_all_v(const void* in, std::span<const std::size_t> send_counts, void* out,
                    std::span<const std::size_t> recv_counts, Dtype dtype, const device::Stream& stream = {});
  /// Messages from one rank to another on a GPU must be received in the order sent, whatever their tags. wait() then
  /// lets the stream wait, not the host: work enqueued later may change the buffer.
  std::unique_ptr<Request> isend(const void* data, std::size_t count, Dtype dtype, int peer, int tag,
                                 const device::Stream& stream = {});
  void recv(void* data, std::size_t count, Dtype dtype, int peer, int tag, const device::Stream& stream = {});

  /// The communicator of `members` (ranks of this one, ascending, containing the caller). Collective over `members`'
  /// union: every rank of this communicator calls it with its own group. It has no transport yet.
  virtual std::unique_ptr<Communicator> split(const std::vector<int>& members, const std::string& name) = 0;

  /// How data on a GPU travel from now on; null: not at all. A group of one needs none. Transports whose making or end
  /// is collective are attached by all ranks in one order.
  void attach(std::unique_ptr<DeviceTransport> transport);
  /// The same for what is enqueued on `lane`, a stream of its own: it then neither waits for operations on other
  /// streams nor holds them up. Without it they go as the others do.
  void attach(std::unique_ptr<DeviceTransport> transport, const device::Stream& lane);
  const DeviceTransport* transport() const { return transport_.get(); }

  /// Bytes this rank has sent to others so far, by the usual ring or direct algorithms: all_gather (n-1)·own,
  /// reduce_scatter the sum of the other ranks' blocks, all_reduce 2·(n-1)/n·bytes, all_to_all what goes to others,
  /// send all, broadcast (root) (n-1)·bytes. A model that the mesh's predictions are compared with, not a wire count.
  std::uint64_t bytes_sent() const { return bytes_sent_; }

 protected:
  Communicator(int rank, int size, std::string name);
  // On host memory; arguments are checked, bytes are counted by the callers.
  virtual void do_broadcast(void* data, std::size_t count, Dtype dtype, int root) = 0;
  virtual void do_all_reduce(void* data, std::size_t count, Dtype dtype, Reduce op) = 0;
  virtual void do_all_gather_v(const void* in, void* out, std::span<const std::size_t> counts, Dtype dtype) = 0;
  virtual void do_reduce_scatter_v(const void* in, void* out, std::span<const std::size_t> counts, Dtype dtype) = 0;
  virtual void do_all_to_all_v(const void* in, std::span<const std::size_t> send_counts, void* out,
                               std::span<const std::size_t> recv_counts, Dtype dtype) = 0;
  virtual std::unique_ptr<Request> do_isend(const void* data, std::size_t count, Dtype dtype, int peer, int tag) = 0;
  virtual void do_recv(void* data, std::size_t count, Dtype dtype, int peer, int tag) = 0;

  /// "all_reduce on tp{0,1} (rank 0 of 2)"
  std::string where(const char* operation) const;
  int rank_, size_;
  std::string name_;

 private:
  friend class StagedTransport;  // runs the operations on host memory
  void require_counts(std::span<const std::size_t> counts, const char* operation) const;
  void require_peer(int peer, int tag, const char* operation) const;
  DeviceTransport& on_device(const device::Stream& stream, const char* operation);
  std::unique_ptr<DeviceTransport> transport_, lane_transport_;
  void* lane_ = nullptr;  // the native stream
  std::uint64_t bytes_sent_ = 0;
};

}  // namespace eddy::comm
