#include "comm/mpi_communicator.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <numeric>

#include "base/error.h"
#include "comm/exchange.h"
#include "comm/reduce_blocks.h"
#include "comm/self_communicator.h"

namespace eddy::comm {
namespace {

constexpr std::size_t kScratchBytes = std::size_t{16} << 20;

/// Element offsets of blocks that lie one after the other.
std::vector<std::size_t> offsets(std::span<const std::size_t> counts) {
  std::vector<std::size_t> o(counts.size() + 1, 0);
  std::partial_sum(counts.begin(), counts.end(), o.begin() + 1);
  return o;
}
std::vector<int> ints(std::span<const std::size_t> values) {
  return {values.begin(), values.end()};
}
std::byte* at(const void* data, std::size_t element, Dtype dtype) {
  return const_cast<std::byte*>(static_cast<const std::byte*>(data)) + element * size_of(dtype);
}
void copy(const void* from, void* to, std::size_t count, Dtype dtype) {
  if (from != to && count > 0) std::memmove(to, from, count * size_of(dtype));
}

class SendRequest final : public Request {
 public:
  SendRequest(std::vector<MPI_Request> requests, std::shared_ptr<Watchdog> watchdog, const std::string& group, int rank,
              int size, int peer)
      : requests_(std::move(requests)),
        watchdog_(std::move(watchdog)),
        group_(group),
        rank_(rank),
        size_(size),
        peer_(peer) {}
  ~SendRequest() override {
    if (requests_.empty() || !mpi_running()) return;
    if (std::uncaught_exceptions() > 0) {  // the receiver may never come: waiting would hide the error that unwinds
      for (auto& r : requests_)
        if (r != MPI_REQUEST_NULL) MPI_Request_free(&r);
      return;
    }
    const Watchdog::Guard guard(watchdog_.get(), "isend (wait)", group_, rank_, size_);
    MPI_Waitall(static_cast<int>(requests_.size()), requests_.data(), MPI_STATUSES_IGNORE);
  }
  void wait() override {
    const Watchdog::Guard guard(watchdog_.get(), "isend (wait)", group_, rank_, size_);
    const int code = MPI_Waitall(static_cast<int>(requests_.size()), requests_.data(), MPI_STATUSES_IGNORE);
    requests_.clear();
    if (code != MPI_SUCCESS) check(code, fmt::format("isend on {}, rank {} to {}", group_, rank_, peer_));
  }

 private:
  std::vector<MPI_Request> requests_;
  std::shared_ptr<Watchdog> watchdog_;
  std::string group_;
  int rank_, size_, peer_;
};

int rank_in(MPI_Comm comm) {
  int r = 0;
  check(MPI_Comm_rank(comm, &r));
  return r;
}
int size_of_comm(MPI_Comm comm) {
  int n = 0;
  check(MPI_Comm_size(comm, &n));
  return n;
}

}  // namespace

MpiCommunicator::MpiCommunicator(MpiHandle comm, const std::string& name, std::shared_ptr<Watchdog> watchdog,
                                 std::size_t largest_count)
    : Communicator(rank_in(comm.get()), size_of_comm(comm.get()), name),
      comm_(std::move(comm)),
      watchdog_(std::move(watchdog)),
      largest_count_(largest_count) {
  check(MPI_Comm_set_errhandler(comm_.get(), MPI_ERRORS_RETURN));
}

bool MpiCommunicator::fits(std::span<const std::size_t> counts) const {
  return std::accumulate(counts.begin(), counts.end(), std::size_t{0}) <= largest_count_;
}

void MpiCommunicator::barrier() {
  const auto guard = watched("barrier");
  check(MPI_Barrier(comm_.get()), where("barrier"));
}

void MpiCommunicator::do_broadcast(void* data, std::size_t count, Dtype dtype, int root) {
  const auto guard = watched("broadcast");
  for (std::size_t done = 0; done < count;) {
    const std::size_t now = std::min(count - done, largest_count_);
    check(MPI_Bcast(at(data, done, dtype), static_cast<int>(now), mpi_type(dtype), root, comm_.get()),
          where("broadcast"));
    done += now;
  }
}

void MpiCommunicator::do_all_reduce(void* data, std::size_t count, Dtype dtype, Reduce op) {
  const auto guard = watched("all_reduce");
  const auto n = static_cast<std::size_t>(size_);
  if (dtype == Dtype::bf16) {  // MPI cannot add these: every rank sums its share, in float32
    std::vector<std::size_t> counts(n, count / n);
    for (std::size_t r = 0; r < count % n; ++r) ++counts[r];
    auto* own = at(data, offsets(counts)[static_cast<std::size_t>(rank_)], dtype);
    scatter_sum(data, own, counts, dtype, op, "all_reduce");
    gather_blocks(own, data, counts, dtype, "all_reduce");
  } else {
    const MPI_Op mpi_op = op == Reduce::sum ? MPI_SUM : op == Reduce::max ? MPI_MAX : MPI_MIN;
    for (std::size_t done = 0; done < count;) {
      const std::size_t now = std::min(count - done, largest_count_);
      check(MPI_Allreduce(MPI_IN_PLACE, at(data, done, dtype), static_cast<int>(now), mpi_type(dtype), mpi_op,
                          comm_.get()),
            where("all_reduce"));
      done += now;
    }
  }
}

void MpiCommunicator::do_all_gather_v(const void* in, void* out, std::span<const std::size_t> counts, Dtype dtype) {
  const auto guard = watched("all_gather");
  gather_blocks(in, out, counts, dtype, "all_gather");
}

void MpiCommunicator::gather_blocks(const void* in, void* out, std::span<const std::size_t> counts, Dtype dtype,
                                    const char* operation) {
  const auto begin = offsets(counts);
  const auto me = static_cast<std::size_t>(rank_);
  if (begin.back() == 0) return;
  copy(in, at(out, begin[me], dtype), counts[me], dtype);
  if (fits(counts)) {
    const auto sizes = ints(counts), starts = ints({begin.data(), counts.size()});
    check(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, out, sizes.data(), starts.data(), mpi_type(dtype),
                         comm_.get()),
          where(operation));
    return;
  }
  std::vector<Block> sends, receives;
  for (int k = 1; k < size_; ++k) {  // each rank begins with its neighbour, so that not all send to one
    const int to = (rank_ + k) % size_, from = (rank_ - k + size_) % size_;
    const auto f = static_cast<std::size_t>(from);
    sends.push_back({at(out, begin[me], dtype), counts[me], to});
    receives.push_back({at(out, begin[f], dtype), counts[f], from});
  }
  exchange(sends, receives, dtype, comm_.get(), largest_count_, where(operation));
}

void MpiCommunicator::do_reduce_scatter_v(const void* in, void* out, std::span<const std::size_t> counts, Dtype dtype) {
  const auto guard = watched("reduce_scatter");
  scatter_sum(in, out, counts, dtype, Reduce::sum, "reduce_scatter");
}

// MPI_Reduce_scatter would need room for a whole block beside `out`, an int count, and would add in an order of its
// own. Here every rank receives the others' blocks in pieces, and adds them in rank order.
void MpiCommunicator::scatter_sum(const void* in, void* out, std::span<const std::size_t> counts, Dtype dtype,
                                  Reduce op, const char* operation) {
  const auto begin = offsets(counts);
  const auto me = static_cast<std::size_t>(rank_), n = static_cast<std::size_t>(size_);
  const std::size_t largest_block = *std::max_element(counts.begin(), counts.end());
  if (largest_block == 0) return;
  if (n == 1) return copy(in, out, counts[0], dtype);
  const std::size_t piece =
      std::min({largest_block, largest_count_, std::max<std::size_t>(kScratchBytes / (n - 1) / size_of(dtype), 1)});
  scratch_.resize(std::max(scratch_.size(), (n - 1) * std::min(piece, counts[me]) * size_of(dtype)));
  std::vector<Block> sends, receives;
  std::vector<const void*> blocks(n);
  for (std::size_t done = 0; done < largest_block; done += piece) {
    const auto left = [&](std::size_t r) { return counts[r] > done ? std::min(piece, counts[r] - done) : 0; };
    const std::size_t mine = left(me);
    sends.clear();
    receives.clear();
    blocks[me] = at(in, begin[me] + done, dtype);
    for (std::size_t k = 1; k < n; ++k) {
      const std::size_t to = (me + k) % n, from = (me + n - k) % n;
      auto* room = scratch_.data() + (k - 1) * mine * size_of(dtype);
      sends.push_back({at(in, begin[to] + done, dtype), left(to), static_cast<int>(to)});
      receives.push_back({room, mine, static_cast<int>(from)});
      blocks[from] = room;
    }
    exchange(sends, receives, dtype, comm_.get(), largest_count_, where(operation));
    if (mine > 0) reduce_blocks(blocks, at(out, done, dtype), mine, dtype, op);
  }
}

void MpiCommunicator::do_all_to_all_v(const void* in, std::span<const std::size_t> send_counts, void* out,
                                      std::span<const std::size_t> recv_counts, Dtype dtype) {
  const auto guard = watched("all_to_all");
  const auto from = offsets(send_counts), to = offsets(recv_counts);
  const auto me = static_cast<std::size_t>(rank_), n = static_cast<std::size_t>(size_);
  // Always direct: whether the counts fit MPI_Alltoallv's ints could differ from rank to rank.
  std::vector<Block> sends, receives;
  for (std::size_t k = 1; k < n; ++k) {
    const std::size_t s = (me + k) % n, r = (me + n - k) % n;
    sends.push_back({at(in, from[s], dtype), send_counts[s], static_cast<int>(s)});
    receives.push_back({at(out, to[r], dtype), recv_counts[r], static_cast<int>(r)});
  }
  copy(at(in, from[me], dtype), at(out, to[me], dtype), send_counts[me], dtype);
  exchange(sends, receives, dtype, comm_.get(), largest_count_, where("all_to_all"));
}

std::unique_ptr<Request> MpiCommunicator::do_isend(const void* data, std::size_t count, Dtype dtype, int peer,
                                                   int tag) {
  const auto guard = watched("isend");
  std::vector<MPI_Request> requests;
  start_send({at(data, 0, dtype), count, peer}, dtype, tag + 1, comm_.get(), largest_count_, requests);
  return std::make_unique<SendRequest>(std::move(requests), watchdog_, name_, rank_, size_, peer);
}

void MpiCommunicator::do_recv(void* data, std::size_t count, Dtype dtype, int peer, int tag) {
  const auto guard = watched("recv");
  std::size_t done = 0;
  do {
    const std::size_t now = std::min(count - done, largest_count_);
    MPI_Status status;
    int arrived = 0;
    check(MPI_Recv(at(data, done, dtype), static_cast<int>(now), mpi_type(dtype), peer, tag + 1, comm_.get(), &status),
          where("recv"));
    check(MPI_Get_count(&status, mpi_type(dtype), &arrived));
    if (arrived != static_cast<int>(now))
      fail_run("{}: rank {} sent {} elements of {} where {} were expected (tag {})", where("recv"), peer, arrived,
               name_of(dtype), now, tag);
    done += now;
  } while (done < count);
}

std::unique_ptr<Communicator> MpiCommunicator::split(const std::vector<int>& members, const std::string& name) {
  if (!std::is_sorted(members.begin(), members.end()) || !std::binary_search(members.begin(), members.end(), rank_) ||
      members.front() < 0 || members.back() >= size_ ||
      std::adjacent_find(members.begin(), members.end()) != members.end())
    fail_run("split of {} into {}: members must be ranks below {}, ascending, with {} among them", name_, name, size_,
             rank_);
  const auto guard = watched("split");
  MPI_Comm part = MPI_COMM_NULL;
  check(MPI_Comm_split(comm_.get(), members.front(), 0, &part), where("split"));
  MpiHandle owned(part);
  if (size_of_comm(part) != static_cast<int>(members.size()))
    fail_run("split of {} into {}: {} ranks name the group that rank {} begins, {} expected", name_, name,
             size_of_comm(part), members.front(), members.size());
  if (members.size() == 1) return self_communicator(name);
  return std::make_unique<MpiCommunicator>(std::move(owned), name, watchdog_, largest_count_);
}

MPI_Comm mpi_comm(const Communicator& communicator) {
  const auto* mpi = dynamic_cast<const MpiCommunicator*>(&communicator);
  return mpi ? mpi->handle() : MPI_COMM_SELF;
}
std::shared_ptr<Watchdog> watchdog_of(const Communicator& communicator) {
  const auto* mpi = dynamic_cast<const MpiCommunicator*>(&communicator);
  return mpi ? mpi->watchdog() : nullptr;
}

}  // namespace eddy::comm
