#pragma once
// Messages between the ranks of one group, behind one interface (MPI today, NCCL beside it in the CUDA build).
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/dtype.h"

namespace eddy::comm {

enum class Reduce { sum, max, min };

/// A send that is under way; its buffer must stay until wait() returned. Waits in the destructor.
class Request {
 public:
  virtual ~Request() = default;
  virtual void wait() = 0;
};

/// A group of ranks. Counts are elements of `dtype`. All members call a collective in the same order.
/// Every call is watched: one that outlasts comm.timeout_s ends the job, naming operation, group and rank.
class Communicator {
 public:
  virtual ~Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  const std::string& name() const { return name_; }

  virtual void barrier() = 0;
  virtual void broadcast(void* data, std::size_t count, Dtype dtype, int root) = 0;
  virtual void all_reduce(void* data, std::size_t count, Dtype dtype, Reduce op) = 0;  ///< in place
  /// out [size × count]; `in` may lie at its own place in `out`.
  virtual void all_gather(const void* in, void* out, std::size_t count, Dtype dtype) = 0;
  /// Rank r contributes counts[r] elements; out is their concatenation. `in` may lie at its own place in `out`.
  virtual void all_gather_v(const void* in, void* out, std::span<const std::size_t> counts, Dtype dtype) = 0;
  /// in [size × count] is summed over the ranks; rank r gets block r in out [count]. `out` may not overlap `in`.
  virtual void reduce_scatter(const void* in, void* out, std::size_t count, Dtype dtype) = 0;
  /// The same with blocks of counts[r] elements. `out` may be the rank's own block of `in`.
  virtual void reduce_scatter_v(const void* in, void* out, std::span<const std::size_t> counts, Dtype dtype) = 0;
  virtual void all_to_all(const void* in, void* out, std::size_t count, Dtype dtype) = 0;  ///< count a pair of ranks
  /// Blocks lie one after the other in rank order in both buffers.
  virtual void all_to_all_v(const void* in, std::span<const std::size_t> send_counts, void* out,
                            std::span<const std::size_t> recv_counts, Dtype dtype) = 0;
  virtual std::unique_ptr<Request> isend(const void* data, std::size_t count, Dtype dtype, int peer, int tag) = 0;
  virtual void recv(void* data, std::size_t count, Dtype dtype, int peer, int tag) = 0;

  /// The communicator of `members` (ranks of this one, ascending, containing the caller). Collective over `members`'
  /// union: every rank of this communicator calls it with its own group.
  virtual std::unique_ptr<Communicator> split(const std::vector<int>& members, const std::string& name) = 0;

  /// Bytes this rank has sent to others so far, by the usual ring or direct algorithms: all_gather (n-1)·own,
  /// reduce_scatter the sum of the other ranks' blocks, all_reduce 2·(n-1)/n·bytes, all_to_all what goes to others,
  /// send all, broadcast (root) (n-1)·bytes. A model that the mesh's predictions are compared with, not a wire count.
  std::uint64_t bytes_sent() const { return bytes_sent_; }

 protected:
  Communicator(int rank, int size, std::string name) : rank_(rank), size_(size), name_(std::move(name)) {}
  int rank_, size_;
  std::string name_;
  std::uint64_t bytes_sent_ = 0;
};

}  // namespace eddy::comm
