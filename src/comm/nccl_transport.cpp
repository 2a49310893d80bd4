#include "comm/nccl_transport.h"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <numeric>

#include "base/error.h"
#include "comm/mpi_communicator.h"

namespace eddy::comm {
using device::Stream;

namespace {

/// Blocks of the GPU that a collective's kernel may take in the computation's own stream, which waits for it.
constexpr int kCtas = 32;
/// Blocks of the GPU that a message's kernel may take while others compute: about 150 GB/s over NVLink.
constexpr int kMessageCtas = 8;
/// The same of a lane's collectives, which have the backward pass's time, or that of a kernel bound by memory.
constexpr int kLaneCtas = 24;

std::size_t sum(std::span<const std::size_t> counts) {
  return std::accumulate(counts.begin(), counts.end(), std::size_t{0});
}
bool all_equal(std::span<const std::size_t> counts) {
  return std::adjacent_find(counts.begin(), counts.end(), std::not_equal_to<>()) == counts.end();
}
const void* at(const void* data, std::size_t element, Dtype dtype) {
  return static_cast<const std::byte*>(data) + element * size_of(dtype);
}
void* at(void* data, std::size_t element, Dtype dtype) {
  return static_cast<std::byte*>(data) + element * size_of(dtype);
}
std::string where(const char* operation, const Place& place) {
  return fmt::format("{} on {} (rank {} of {})", operation, place.group, place.rank, place.size);
}

/// Messages with one neighbour.
struct Link {
  Link() = default;
  /// Both ranks end their two communicators in one order: NCCL waits for the other in each.
  ~Link() {
    auto &up = lower ? out : in, &down = lower ? in : out;
    up.reset();
    down.reset();
  }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  bool lower = false;                   // this rank is the lower of the two
  SideStream stream;                    // of sends
  Event ready;                          // what a send waits for
  std::unique_ptr<NcclHandle> out, in;  // the sender is rank 0, the receiver 1
};

/// Events of sends that were waited for, for the sends to come.
using Spares = std::vector<Event>;

class SendRequest final : public Request {
 public:
  SendRequest(Event sent, const Stream& stream, std::shared_ptr<Spares> spares)
      : sent_(std::move(sent)), stream_(stream), spares_(std::move(spares)) {}
  ~SendRequest() override {
    if (waiting_ && std::uncaught_exceptions() == 0) (void)cudaStreamWaitEvent(device::native(stream_), sent_.get(), 0);
  }
  void wait() override {
    if (!waiting_) return;
    sent_.hold(device::native(stream_));
    waiting_ = false;
    spares_->push_back(std::move(sent_));  // an event may be recorded anew once others were told to wait for it
  }

 private:
  bool waiting_ = true;
  Event sent_;
  Stream stream_;
  std::shared_ptr<Spares> spares_;
};

class NothingSent final : public Request {
 public:
  void wait() override {}
};

class NcclTransport final : public DeviceTransport {
 public:
  NcclTransport(std::shared_ptr<const Place> place, std::shared_ptr<NcclHandle> comm, std::map<int, Link> links,
                std::shared_ptr<GpuWatch> watch)
      : place_(std::move(place)), watch_(std::move(watch)), comm_(std::move(comm)), links_(std::move(links)) {}
  const char* name() const override { return "nccl"; }

  void broadcast(void* data, std::size_t count, Dtype dtype, int root, const Stream& stream) override {
    if (count == 0) return;
    const auto guard = watched("broadcast", stream);
    check_here(ncclBroadcast(data, data, count, nccl_type(dtype), root, comm(), device::native(stream)), "broadcast");
  }

  void all_reduce(void* data, std::size_t count, Dtype dtype, Reduce op, const Stream& stream) override {
    const auto guard = watched("all_reduce", stream);
    check_here(ncclAllReduce(data, data, count, nccl_type(dtype), nccl_op(op), comm(), device::native(stream)),
               "all_reduce");
  }

  void all_gather_v(const void* in, void* out, std::span<const std::size_t> counts, Dtype dtype,
                    const Stream& stream) override {
    const auto guard = watched("all_gather", stream);
    const auto s = device::native(stream);
    if (all_equal(counts))
      return check_here(ncclAllGather(in, out, counts[0], nccl_type(dtype), comm(), s), "all_gather");
    check_here(ncclGroupStart(), "all_gather");
    std::size_t begin = 0;
    for (std::size_t r = 0; r < counts.size(); begin += counts[r++]) {
      void* block = at(out, begin, dtype);
      const void* own = r == me() ? in : block;
      if (counts[r] > 0)
        check_here(ncclBroadcast(own, block, counts[r], nccl_type(dtype), static_cast<int>(r), comm(), s),
                   "all_gather");
    }
    check_here(ncclGroupEnd(), "all_gather");
  }

  void reduce_scatter_v(const void* in, void* out, std::span<const std::size_t> counts, Dtype dtype,
                        const Stream& stream) override {
    const auto guard = watched("reduce_scatter", stream);
    const auto s = device::native(stream);
    if (all_equal(counts))
      return check_here(ncclReduceScatter(in, out, counts[0], nccl_type(dtype), ncclSum, comm(), s), "reduce_scatter");
    check_here(ncclGroupStart(), "reduce_scatter");
    std::size_t begin = 0;
    for (std::size_t r = 0; r < counts.size(); begin += counts[r++])
      if (counts[r] > 0)  // only the root's `out` is written
        check_here(
            ncclReduce(at(in, begin, dtype), out, counts[r], nccl_type(dtype), ncclSum, static_cast<int>(r), comm(), s),
            "reduce_scatter");
    check_here(ncclGroupEnd(), "reduce_scatter");
  }

  void all_to_all_v(const void* in, std::span<const std::size_t> send_counts, void* out,
                    std::span<const std::size_t> recv_counts, Dtype dtype, const Stream& stream) override {
    const auto guard = watched("all_to_all", stream);
    const auto s = device::native(stream);
    const std::size_t n = send_counts.size();
    const auto from = [&](std::size_t r) { return at(in, sum(send_counts.first(r)), dtype); };
    const auto to = [&](std::size_t r) { return at(out, sum(recv_counts.first(r)), dtype); };
    if (send_counts[me()] > 0)
      device::check(
          cudaMemcpyAsync(to(me()), from(me()), send_counts[me()] * size_of(dtype), cudaMemcpyDeviceToDevice, s));
    check_here(ncclGroupStart(), "all_to_all");
    for (std::size_t k = 1; k < n; ++k) {  // each rank begins with its neighbour, so that not all send to one
      const std::size_t next = (me() + k) % n, last = (me() + n - k) % n;
      if (send_counts[next] > 0)
        check_here(ncclSend(from(next), send_counts[next], nccl_type(dtype), static_cast<int>(next), comm(), s),
                   "all_to_all");
      if (recv_counts[last] > 0)
        check_here(ncclRecv(to(last), recv_counts[last], nccl_type(dtype), static_cast<int>(last), comm(), s),
                   "all_to_all");
    }
    check_here(ncclGroupEnd(), "all_to_all");
  }

  std::unique_ptr<Request> isend(const void* data, std::size_t count, Dtype dtype, int peer, int,
                                 const Stream& stream) override {
    Link& link = with(peer, "isend");
    if (count == 0) return std::make_unique<NothingSent>();
    link.ready.record(device::native(stream));
    link.ready.hold(link.stream.get());
    {
      const GpuWatch::Guard guard(*watch_, "isend", place_, link.out->get(), link.stream.get());
      check(ncclSend(data, count, nccl_type(dtype), 1, link.out->get(), link.stream.get()), where("isend", *place_),
            link.out->get());
    }
    Event sent;
    if (!spares_->empty()) {
      sent = std::move(spares_->back());
      spares_->pop_back();
    }
    sent.record(link.stream.get());
    return std::make_unique<SendRequest>(std::move(sent), stream, spares_);
  }

  void recv(void* data, std::size_t count, Dtype dtype, int peer, int, const Stream& stream) override {
    Link& link = with(peer, "recv");
    if (count == 0) return;
    const GpuWatch::Guard guard(*watch_, "recv", place_, link.in->get(), device::native(stream));
    check(ncclRecv(data, count, nccl_type(dtype), 0, link.in->get(), device::native(stream)), where("recv", *place_),
          link.in->get());
  }

 private:
  std::size_t me() const { return static_cast<std::size_t>(place_->rank); }
  ncclComm_t comm() const { return comm_->get(); }
  GpuWatch::Guard watched(const char* operation, const Stream& stream) const {
    return {*watch_, operation, place_, comm(), device::native(stream)};
  }
  void check_here(ncclResult_t code, const char* operation) const {
    if (code != ncclSuccess) check(code, where(operation, *place_), comm());
  }
  Link& with(int peer, const char* operation) {
    const auto link = links_.find(peer);
    if (link == links_.end())
      fail_run("{}: no messages to or from rank {} go between GPUs here: only neighbours of a pipeline exchange them",
               where(operation, *place_), peer);
    return link->second;
  }

  std::shared_ptr<const Place> place_;
  std::shared_ptr<GpuWatch> watch_;
  std::shared_ptr<NcclHandle> comm_;
  std::map<int, Link> links_;
  std::shared_ptr<Spares> spares_ = std::make_shared<Spares>();
};

/// A first message, at which NCCL connects the two ranks; waits for it.
void connect(const NcclHandle& comm, bool sends, const SideStream& stream, const Place& place, const GpuWatch& watch) {
  const Watchdog::Guard guard(watch.watchdog(), "the first message", place.group, place.rank, place.size);
  void* data = nullptr;
  device::check(cudaMalloc(&data, 16));
  const auto code = sends ? ncclSend(data, 16, ncclUint8, 1, comm.get(), stream.get())
                          : ncclRecv(data, 16, ncclUint8, 0, comm.get(), stream.get());
  check(code, where("the first message", place), comm.get());
  device::check(cudaStreamSynchronize(stream.get()));
  device::check(cudaFree(data));
}

/// The links with ranks r - 1 and r + 1.
std::map<int, Link> make_links(const Communicator& group, const std::shared_ptr<GpuWatch>& watch) {
  const int n = group.size(), me = group.rank();
  struct Ids {
    ncclUniqueId up, down;  // of ranks r and r + 1: from r, to r
  } own{};
  if (me + 1 < n) {
    check(ncclGetUniqueId(&own.up), "ncclGetUniqueId");
    check(ncclGetUniqueId(&own.down), "ncclGetUniqueId");
  }
  std::vector<Ids> ids(static_cast<std::size_t>(n));
  {
    const Watchdog::Guard guard(watch->watchdog(), "all_gather of NCCL ids", group.name(), me, n);
    check(MPI_Allgather(&own, sizeof own, MPI_BYTE, ids.data(), sizeof own, MPI_BYTE, mpi_comm(group)));
  }
  std::map<int, Link> links;
  for (const int turn : {0, 1}) {  // pairs that begin with an even rank, then the others: no chain of waiting
    const int low = me % 2 == turn ? me : me - 1, high = low + 1;
    if (low < 0 || high >= n) continue;
    const bool lower = me == low;
    Link& link = links[lower ? high : low];
    link.lower = lower;
    for (const bool up : {true, false}) {
      const bool sends = up == lower;
      const auto& id = up ? ids[static_cast<std::size_t>(low)].up : ids[static_cast<std::size_t>(low)].down;
      const Place place{fmt::format("{}, messages of rank {} to {}", group.name(), up ? low : high, up ? high : low),
                        sends ? 0 : 1, 2};
      auto& comm = sends ? link.out : link.in;
      comm = std::make_unique<NcclHandle>(id, place, kMessageCtas, watch);
      connect(*comm, sends, link.stream, place, *watch);
    }
  }
  return links;
}

}  // namespace

Nccl::Nccl(std::shared_ptr<Watchdog> watchdog) {
  setenv("NCCL_NVLS_ENABLE", "0", 0);
  watch_ = std::make_shared<GpuWatch>(std::move(watchdog));
}

std::shared_ptr<NcclHandle> Nccl::handle(Communicator& group, const Place& place, int max_ctas, Made& made) {
  int world_rank = 0;
  check(MPI_Comm_rank(MPI_COMM_WORLD, &world_rank));
  std::vector<int> members(static_cast<std::size_t>(group.size()));
  ncclUniqueId id{};
  {
    const Watchdog::Guard guard(watch_->watchdog(), "bootstrap of NCCL", place.group, place.rank, place.size);
    check(MPI_Allgather(&world_rank, 1, MPI_INT, members.data(), 1, MPI_INT, mpi_comm(group)));
    if (auto comm = made[members].lock()) return comm;
    if (group.rank() == 0) check(ncclGetUniqueId(&id), "ncclGetUniqueId");
    check(MPI_Bcast(&id, sizeof id, MPI_BYTE, 0, mpi_comm(group)));
  }
  auto comm = std::make_shared<NcclHandle>(id, place, max_ctas, watch_);
  made[members] = comm;
  return comm;
}

std::unique_ptr<DeviceTransport> Nccl::transport(Communicator& group, Messages messages) {
  const auto place = std::make_shared<const Place>(Place{group.name(), group.rank(), group.size()});
  auto comm = handle(group, *place, kCtas, made_);
  auto links = messages == Messages::neighbours ? make_links(group, watch_) : std::map<int, Link>();
  return std::make_unique<NcclTransport>(place, std::move(comm), std::move(links), watch_);
}

std::unique_ptr<DeviceTransport> Nccl::lane_transport(Communicator& group, const Stream& lane) {
  const auto place = std::make_shared<const Place>(Place{group.name() + " beside", group.rank(), group.size()});
  return std::make_unique<NcclTransport>(place, handle(group, *place, kLaneCtas, made_for_lanes_[lane.native()]),
                                         std::map<int, Link>(), watch_);
}

}  // namespace eddy::comm
