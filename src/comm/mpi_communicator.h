#pragma once
// The communicator over MPI. Counts may exceed an int: what MPI's own collective cannot express goes as direct messages
// in pieces. Sums are deterministic: MPI's all-reduce for a given group and count, or here in rank order.
#include <memory>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "comm/mpi_handle.h"
#include "comm/watchdog.h"

namespace eddy::comm {

class MpiCommunicator final : public Communicator {
 public:
  /// Takes over `comm`. `largest_count`: elements that one MPI call may move (tests make it small).
  MpiCommunicator(MpiHandle comm, const std::string& name, std::shared_ptr<Watchdog> watchdog,
                  std::size_t largest_count = kLargestCount);

  void barrier() override;
  std::unique_ptr<Communicator> split(const std::vector<int>& members, const std::string& name) override;

  MPI_Comm handle() const { return comm_.get(); }
  const std::shared_ptr<Watchdog>& watchdog() const { return watchdog_; }

  static constexpr std::size_t kLargestCount = (std::size_t{1} << 31) - 1;

 private:
  Watchdog::Guard watched(const char* operation) const { return {watchdog_.get(), operation, name_, rank_, size_}; }
  void do_broadcast(void* data, std::size_t count, Dtype dtype, int root) override;
  void do_all_reduce(void* data, std::size_t count, Dtype dtype, Reduce op) override;
  void do_all_gather_v(const void* in, void* out, std::span<const std::size_t> counts, Dtype dtype) override;
  void do_reduce_scatter_v(const void* in, void* out, std::span<const std::size_t> counts, Dtype dtype) override;
  void do_all_to_all_v(const void* in, std::span<const std::size_t> send_counts, void* out,
                       std::span<const std::size_t> recv_counts, Dtype dtype) override;
  std::unique_ptr<Request> do_isend(const void* data, std::size_t count, Dtype dtype, int peer, int tag) override;
  void do_recv(void* data, std::size_t count, Dtype dtype, int peer, int tag) override;
  bool fits(std::span<const std::size_t> counts) const;
  void gather_blocks(const void* in, void* out, std::span<const std::size_t> counts, Dtype dtype,
                     const char* operation);
  void scatter_sum(const void* in, void* out, std::span<const std::size_t> counts, Dtype dtype, Reduce op,
                   const char* operation);

  MpiHandle comm_;
  std::shared_ptr<Watchdog> watchdog_;
  std::size_t largest_count_;
  std::vector<std::byte> scratch_;  ///< blocks of other ranks on their way into a sum
};

/// The MPI handle of a communicator (MPI_COMM_SELF for a group of one), for libraries that take one, such as parallel
/// HDF5.
MPI_Comm mpi_comm(const Communicator& communicator);
/// What watches its calls; null for a group of one.
std::shared_ptr<Watchdog> watchdog_of(const Communicator& communicator);

}  // namespace eddy::comm
