#include "comm/staged_transport.h"

#include <algorithm>
#include <numeric>

#include "comm/mpi_communicator.h"
#include "device/gpu.h"

namespace eddy::comm {
using device::PinnedBuffer;
using device::Stream;

namespace {

/// Host memory that grows with what is asked of it.
class Room {
 public:
  std::byte* of(std::size_t bytes) {
    if (!buffer_ || buffer_->size() < bytes) {
      const std::size_t grown = buffer_ ? std::max(bytes, buffer_->size() + buffer_->size() / 2) : bytes;
      buffer_.reset();
      buffer_ = std::make_unique<PinnedBuffer>(grown);
    }
    return static_cast<std::byte*>(buffer_->data());
  }

 private:
  std::unique_ptr<PinnedBuffer> buffer_;
};

/// Buffers of sends that were received, for the sends to come.
using Spares = std::vector<std::unique_ptr<PinnedBuffer>>;

std::unique_ptr<PinnedBuffer> take(Spares& spares, std::size_t bytes) {
  auto fit = std::find_if(spares.begin(), spares.end(), [&](const auto& b) { return b->size() >= bytes; });
  if (fit == spares.end()) {
    if (!spares.empty()) spares.pop_back();  // too small: the larger one takes its place
    return std::make_unique<PinnedBuffer>(bytes);
  }
  auto buffer = std::move(*fit);
  spares.erase(fit);
  return buffer;
}

/// The data have left the GPU already: only the host's buffer waits for the receiver.
class StagedRequest final : public Request {
 public:
  StagedRequest(std::unique_ptr<PinnedBuffer> buffer, std::unique_ptr<Request> sent, std::shared_ptr<Spares> spares)
      : buffer_(std::move(buffer)), sent_(std::move(sent)), spares_(std::move(spares)) {}
  void wait() override {
    if (!sent_) return;
    sent_->wait();
    sent_.reset();
    spares_->push_back(std::move(buffer_));
  }

 private:
  std::unique_ptr<PinnedBuffer> buffer_;  // outlives the request that reads it
  std::unique_ptr<Request> sent_;
  std::shared_ptr<Spares> spares_;
};

std::size_t sum(std::span<const std::size_t> counts) {
  return std::accumulate(counts.begin(), counts.end(), std::size_t{0});
}

}  // namespace

class StagedTransport final : public DeviceTransport {
 public:
  explicit StagedTransport(Communicator& host) : host_(host), watchdog_(watchdog_of(host)) {}
  const char* name() const override { return "mpi"; }

  void broadcast(void* data, std::size_t count, Dtype dtype, int root, const Stream& stream) override {
    if (count == 0) return;
    const std::size_t bytes = count * size_of(dtype);
    auto* room = in_.of(bytes);
    if (host_.rank() == root) fetch(stream, data, room, bytes);
    host_.do_broadcast(room, count, dtype, root);
    if (host_.rank() != root) store(stream, room, data, bytes);
  }

  void all_reduce(void* data, std::size_t count, Dtype dtype, Reduce op, const Stream& stream) override {
    const std::size_t bytes = count * size_of(dtype);
    auto* room = in_.of(bytes);
    fetch(stream, data, room, bytes);
    host_.do_all_reduce(room, count, dtype, op);
    store(stream, room, data, bytes);
  }

  void all_gather_v(const void* in, void* out, std::span<const std::size_t> counts, Dtype dtype,
                    const Stream& stream) override {
    const std::size_t all = sum(counts) * size_of(dtype), own = begin(counts) * size_of(dtype);
    auto* room = in_.of(all);
    fetch(stream, in, room + own, counts[me()] * size_of(dtype));
    host_.do_all_gather_v(room + own, room, counts, dtype);
    store(stream, room, out, all);
  }

  void reduce_scatter_v(const void* in, void* out, std::span<const std::size_t> counts, Dtype dtype,
                        const Stream& stream) override {
    const std::size_t all = sum(counts) * size_of(dtype), own = begin(counts) * size_of(dtype);
    auto* room = in_.of(all);
    fetch(stream, in, room, all);
    host_.do_reduce_scatter_v(room, room + own, counts, dtype);
    store(stream, room + own, out, counts[me()] * size_of(dtype));
  }

  void all_to_all_v(const void* in, std::span<const std::size_t> send_counts, void* out,
                    std::span<const std::size_t> recv_counts, Dtype dtype, const Stream& stream) override {
    const std::size_t sent = sum(send_counts) * size_of(dtype), received = sum(recv_counts) * size_of(dtype);
    auto *from = in_.of(sent), *to = out_.of(received);
    fetch(stream, in, from, sent);
    host_.do_all_to_all_v(from, send_counts, to, recv_counts, dtype);
    store(stream, to, out, received);
  }

  std::unique_ptr<Request> isend(const void* data, std::size_t count, Dtype dtype, int peer, int tag,
                                 const Stream& stream) override {
    const std::size_t bytes = count * size_of(dtype);
    auto buffer = take(*spares_, bytes);
    fetch(stream, data, buffer->data(), bytes);
    auto sent = host_.do_isend(buffer->data(), count, dtype, peer, tag);
    return std::make_unique<StagedRequest>(std::move(buffer), std::move(sent), spares_);
  }

  void recv(void* data, std::size_t count, Dtype dtype, int peer, int tag, const Stream& stream) override {
    const std::size_t bytes = count * size_of(dtype);
    auto* room = in_.of(bytes);
    host_.do_recv(room, count, dtype, peer, tag);
    store(stream, room, data, bytes);
  }

 private:
  std::size_t me() const { return static_cast<std::size_t>(host_.rank()); }
  std::size_t begin(std::span<const std::size_t> counts) const { return sum(counts.first(me())); }
  void fetch(const Stream& stream, const void* device, void* host, std::size_t bytes) const {
    if (bytes == 0) return;
    const Watchdog::Guard guard(watchdog_.get(), "a copy from the GPU", host_.name(), host_.rank(), host_.size());
    device::copy_to_host(stream, device, host, bytes);
  }
  void store(const Stream& stream, const void* host, void* device, std::size_t bytes) const {
    if (bytes == 0) return;
    const Watchdog::Guard guard(watchdog_.get(), "a copy to the GPU", host_.name(), host_.rank(), host_.size());
    device::copy_to_device(stream, host, device, bytes);
  }

  Communicator& host_;
  std::shared_ptr<Watchdog> watchdog_;
  Room in_, out_;
  std::shared_ptr<Spares> spares_ = std::make_shared<Spares>();
};

std::unique_ptr<DeviceTransport> staged_transport(Communicator& host) {
  return std::make_unique<StagedTransport>(host);
}

}  // namespace eddy::comm
