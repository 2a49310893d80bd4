#include "comm/communicator.h"

#include <numeric>

#include "base/error.h"
#include "comm/device_transport.h"
#include "comm/reduce_blocks.h"
#include "comm/self_transport.h"
#include "device/span.h"

namespace eddy::comm {
using device::Stream;

namespace {
std::size_t sum(std::span<const std::size_t> counts) {
  return std::accumulate(counts.begin(), counts.end(), std::size_t{0});
}
}  // namespace

Communicator::Communicator(int rank, int size, std::string name) : rank_(rank), size_(size), name_(std::move(name)) {}
Communicator::~Communicator() = default;

void Communicator::attach(std::unique_ptr<DeviceTransport> transport) {
  transport_ = std::move(transport);
}
void Communicator::attach(std::unique_ptr<DeviceTransport> transport, const Stream& lane) {
  lane_transport_ = std::move(transport);
  lane_ = lane.native();
}

std::string Communicator::where(const char* operation) const {
  return fmt::format("{} on {} (rank {} of {})", operation, name_, rank_, size_);
}
void Communicator::require_counts(std::span<const std::size_t> counts, const char* operation) const {
  if (counts.size() != static_cast<std::size_t>(size_))
    fail_run("{}: {} counts given for {} ranks", where(operation), counts.size(), size_);
}
void Communicator::require_peer(int peer, int tag, const char* operation) const {
  if (peer < 0 || peer >= size_ || peer == rank_) fail_run("{}: no other rank {}", where(operation), peer);
  if (tag < 0 || tag > 1'000'000) fail_run("{}: tag {} is not in 0..1000000", where(operation), tag);
}

DeviceTransport& Communicator::on_device(const Stream& stream, const char* operation) {
  if (lane_transport_ && stream.native() == lane_) return *lane_transport_;
  if (!transport_ && size_ == 1) transport_ = self_transport();
  if (!transport_)
    fail_run("{}: the data lie on a GPU, but nothing is attached that carries them to other ranks (comm.backend)",
             where(operation));
  return *transport_;
}

void Communicator::broadcast(void* data, std::size_t count, Dtype dtype, int root, const Stream& stream) {
  const device::Span span(stream, "broadcast");
  if (stream.on_gpu())
    on_device(stream, "broadcast").broadcast(data, count, dtype, root, stream);
  else
    do_broadcast(data, count, dtype, root);
  if (rank_ == root) bytes_sent_ += static_cast<std::size_t>(size_ - 1) * count * size_of(dtype);
}

void Communicator::all_reduce(void* data, std::size_t count, Dtype dtype, Reduce op, const Stream& stream) {
  require_reducible(dtype);  // on all ranks alike, before anybody waits for another
  if (count == 0) return;
  const device::Span span(stream, "all_reduce");
  if (stream.on_gpu())
    on_device(stream, "all_reduce").all_reduce(data, count, dtype, op, stream);
  else
    do_all_reduce(data, count, dtype, op);
  const auto n = static_cast<std::size_t>(size_);
  bytes_sent_ += 2 * (n - 1) * count * size_of(dtype) / n;
}

void Communicator::all_gather(const void* in, void* out, std::size_t count, Dtype dtype, const Stream& stream) {
  all_gather_v(in, out, std::vector<std::size_t>(static_cast<std::size_t>(size_), count), dtype, stream);
}

void Communicator::all_gather_v(const void* in, void* out, std::span<const std::size_t> counts, Dtype dtype,
                                const Stream& stream) {
  require_counts(counts, "all_gather");
  if (sum(counts) == 0) return;
  const device::Span span(stream, "all_gather");
  if (stream.on_gpu())
    on_device(stream, "all_gather").all_gather_v(in, out, counts, dtype, stream);
  else
    do_all_gather_v(in, out, counts, dtype);
  bytes_sent_ += static_cast<std::size_t>(size_ - 1) * counts[static_cast<std::size_t>(rank_)] * size_of(dtype);
}

void Communicator::reduce_scatter(const void* in, void* out, std::size_t count, Dtype dtype, const Stream& stream) {
  reduce_scatter_v(in, out, std::vector<std::size_t>(static_cast<std::size_t>(size_), count), dtype, stream);
}

void Communicator::reduce_scatter_v(const void* in, void* out, std::span<const std::size_t> counts, Dtype dtype,
                                    const Stream& stream) {
  require_counts(counts, "reduce_scatter");
  require_reducible(dtype);
  const std::size_t total = sum(counts);
  if (total == 0) return;
  const device::Span span(stream, "reduce_scatter");
  if (stream.on_gpu())
    on_device(stream, "reduce_scatter").reduce_scatter_v(in, out, counts, dtype, stream);
  else
    do_reduce_scatter_v(in, out, counts, dtype);
  bytes_sent_ += (total - counts[static_cast<std::size_t>(rank_)]) * size_of(dtype);
}

void Communicator::all_to_all(const void* in, void* out, std::size_t count, Dtype dtype, const Stream& stream) {
  const std::vector<std::size_t> counts(static_cast<std::size_t>(size_), count);
  all_to_all_v(in, counts, out, counts, dtype, stream);
}

void Communicator::all_to_all_v(const void* in, std::span<const std::size_t> send_counts, void* out,
                                std::span<const std::size_t> recv_counts, Dtype dtype, const Stream& stream) {
  require_counts(send_counts, "all_to_all");
  require_counts(recv_counts, "all_to_all");
  const auto me = static_cast<std::size_t>(rank_);
  if (send_counts[me] != recv_counts[me])
    fail_run("{}: {} elements sent to itself but {} expected", where("all_to_all"), send_counts[me], recv_counts[me]);
  const device::Span span(stream, "all_to_all");
  if (stream.on_gpu())
    on_device(stream, "all_to_all").all_to_all_v(in, send_counts, out, recv_counts, dtype, stream);
  else
    do_all_to_all_v(in, send_counts, out, recv_counts, dtype);
  bytes_sent_ += (sum(send_counts) - send_counts[me]) * size_of(dtype);
}

std::unique_ptr<Request> Communicator::isend(const void* data, std::size_t count, Dtype dtype, int peer, int tag,
                                             const Stream& stream) {
  require_peer(peer, tag, "isend");
  const device::Span span(stream, "isend");
  auto request = stream.on_gpu() ? on_device(stream, "isend").isend(data, count, dtype, peer, tag, stream)
                                 : do_isend(data, count, dtype, peer, tag);
  bytes_sent_ += count * size_of(dtype);
  return request;
}

void Communicator::recv(void* data, std::size_t count, Dtype dtype, int peer, int tag, const Stream& stream) {
  require_peer(peer, tag, "recv");
  const device::Span span(stream, "recv");
  if (stream.on_gpu())
    on_device(stream, "recv").recv(data, count, dtype, peer, tag, stream);
  else
    do_recv(data, count, dtype, peer, tag);
}

}  // namespace eddy::comm
