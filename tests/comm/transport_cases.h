#pragma once
// Every operation of a DeviceTransport against the same operation on host memory: collectives of all types with equal,
// unequal and no elements, and messages in both directions at once. Collective over the group.
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <random>
#include <vector>

#include "catch.h"
#include "comm/communicator.h"
#include "comm/device_transport.h"
#include "comm/reduce_blocks.h"

namespace eddy_test {
using eddy::Dtype;
using eddy::comm::Communicator;
using eddy::comm::DeviceTransport;
using eddy::comm::Reduce;
using eddy::device::Stream;
using Bytes = std::vector<std::byte>;
using Counts = std::vector<std::size_t>;

/// Memory where the stream works, from host bytes and back.
class Memory {
 public:
  Memory(const Stream& stream, const Bytes& bytes) : stream_(stream), size_(bytes.size()) {
    data_ = stream.arena() ? stream.arena()->take(size_) : std::malloc(size_ + 1);
    eddy::device::copy_to_device(stream, bytes.data(), data_, size_);
  }
  ~Memory() {
    if (stream_.arena())
      stream_.arena()->give(data_);
    else
      std::free(data_);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  std::byte* data(std::size_t offset = 0) const { return static_cast<std::byte*>(data_) + offset; }
  std::size_t size() const { return size_; }
  Bytes read() const {
    Bytes out(size_);
    eddy::device::copy_to_host(stream_, data_, out.data(), size_);
    return out;
  }

 private:
  Stream stream_;
  std::size_t size_;
  void* data_;
};

constexpr Dtype kAll[] = {Dtype::f32, Dtype::f64, Dtype::bf16, Dtype::f8e4m3, Dtype::i32, Dtype::i64, Dtype::u8};
constexpr Dtype kSummed[] = {Dtype::f32, Dtype::f64, Dtype::bf16, Dtype::i32, Dtype::i64, Dtype::u8};

/// Whole numbers below 13, whose sums over eight ranks every type holds exactly; other for every seed.
inline Bytes numbers(std::size_t count, Dtype dtype, int seed) {
  Bytes out(count * eddy::size_of(dtype));
  const auto put = [&](std::size_t i, auto v) { std::memcpy(out.data() + i * sizeof v, &v, sizeof v); };
  for (std::size_t i = 0; i < count; ++i) {
    const int v = static_cast<int>((i * 3 + static_cast<std::size_t>(seed) * 7 + i / 13) % 13);
    switch (dtype) {
      case Dtype::f32:
        put(i, static_cast<float>(v));
        break;
      case Dtype::f64:
        put(i, static_cast<double>(v));
        break;
      case Dtype::bf16:
        put(i, eddy::float_to_bf16(static_cast<float>(v)));
        break;
      case Dtype::i32:
        put(i, std::int32_t{v});
        break;
      case Dtype::i64:
        put(i, std::int64_t{v});
        break;
      default:
        put(i, static_cast<std::uint8_t>(v));
    }
  }
  return out;
}
inline Bytes poison(std::size_t bytes) {
  return Bytes(bytes, std::byte{0xff});
}
inline std::size_t total(const Counts& c) {
  return std::accumulate(c.begin(), c.end(), std::size_t{0});
}
inline std::size_t start(const Counts& c, int rank) {
  return std::accumulate(c.begin(), c.begin() + rank, std::size_t{0});
}
/// Ways to deal elements to the ranks: equal, odd, with none for some, large, almost all to one.
inline std::vector<Counts> dealings(int size) {
  const auto n = static_cast<std::size_t>(size);
  std::vector<Counts> all = {Counts(n, 7), Counts(n, 16384), Counts(n, 50'003), Counts(n, 0)};
  Counts odd, some(n, 0);
  for (std::size_t r = 0; r < n; ++r) odd.push_back(r % 3 == 1 ? 0 : 3 * r + 2 + (r % 2) * 30'001);
  some[n - 1] = 4099;
  all.push_back(odd);
  all.push_back(some);
  return all;
}

inline void gathers(Communicator& host, DeviceTransport& t, const Stream& s) {
  const int me = host.rank();
  for (const Dtype dtype : kAll)
    for (const Counts& counts : dealings(host.size()))
      for (const bool in_place : {false, true}) {
        if (total(counts) == 0) continue;  // which the communicator keeps from its transport
        const std::size_t w = eddy::size_of(dtype), own = counts[static_cast<std::size_t>(me)];
        const Bytes in = numbers(own, dtype, me);
        Bytes right(total(counts) * w);
        host.all_gather_v(in.data(), right.data(), counts, dtype);
        Bytes before = poison(right.size());
        if (in_place)
          std::copy(in.begin(), in.end(), before.begin() + static_cast<std::ptrdiff_t>(start(counts, me) * w));
        const Memory from(s, in), out(s, before);
        t.all_gather_v(in_place ? out.data(start(counts, me) * w) : from.data(), out.data(), counts, dtype, s);
        INFO("all_gather of " << eddy::name_of(dtype) << ", " << total(counts) << " elements, in place: " << in_place);
        CHECK((out.read() == right));
      }
}

inline void scatters(Communicator& host, DeviceTransport& t, const Stream& s) {
  const int me = host.rank();
  for (const Dtype dtype : kSummed)
    for (const Counts& counts : dealings(host.size()))
      for (const bool in_place : {false, true}) {
        if (total(counts) == 0) continue;
        const std::size_t w = eddy::size_of(dtype), own = counts[static_cast<std::size_t>(me)];
        const Bytes in = numbers(total(counts), dtype, me);
        Bytes right(own * w);
        host.reduce_scatter_v(in.data(), right.data(), counts, dtype);
        const Memory from(s, in), room(s, poison(own * w));
        t.reduce_scatter_v(from.data(), in_place ? from.data(start(counts, me) * w) : room.data(), counts, dtype, s);
        Bytes out = room.read();
        if (in_place) {
          const Bytes all = from.read();
          const auto begin = all.begin() + static_cast<std::ptrdiff_t>(start(counts, me) * w);
          out.assign(begin, begin + static_cast<std::ptrdiff_t>(own * w));
        }
        INFO("reduce_scatter of " << eddy::name_of(dtype) << ", " << total(counts)
                                  << " elements, in place: " << in_place);
        CHECK((out == right));
      }
}

inline void reductions(Communicator& host, DeviceTransport& t, const Stream& s) {
  for (const Dtype dtype : kSummed)
    for (const Reduce op : {Reduce::sum, Reduce::max, Reduce::min})
      for (const std::size_t count : {std::size_t{1}, std::size_t{1001}, std::size_t{400'003}}) {
        Bytes right = numbers(count, dtype, host.rank());
        const Memory data(s, right);
        host.all_reduce(right.data(), count, dtype, op);
        t.all_reduce(data.data(), count, dtype, op, s);
        INFO("all_reduce of " << count << ' ' << eddy::name_of(dtype) << ", operation " << static_cast<int>(op));
        CHECK((data.read() == right));
      }
  // Sums that are rounded: the same bits each time and on every rank, and those of the host but for rounding.
  const std::size_t count = 300'007;
  std::mt19937 random(static_cast<unsigned>(host.rank()) + 1);
  std::normal_distribution<float> normal;
  std::vector<float> in(count), sum(count), again(count);
  for (auto& x : in) x = normal(random);
  Bytes bytes(count * 4);
  std::memcpy(bytes.data(), in.data(), bytes.size());
  for (auto* result : {&sum, &again}) {
    const Memory data(s, bytes);
    t.all_reduce(data.data(), count, Dtype::f32, Reduce::sum, s);
    const Bytes out = data.read();
    std::memcpy(result->data(), out.data(), out.size());
  }
  CHECK(std::memcmp(sum.data(), again.data(), count * 4) == 0);
  std::vector<float> of_root = sum;
  host.broadcast(of_root.data(), count, Dtype::f32, 0);
  CHECK(std::memcmp(sum.data(), of_root.data(), count * 4) == 0);
  host.all_reduce(in.data(), count, Dtype::f32, Reduce::sum);
  double largest = 0;
  for (std::size_t i = 0; i < count; ++i) largest = std::max(largest, std::abs(double{in[i]} - double{sum[i]}));
  CHECK(largest < 1e-5);
}

inline void exchanges(Communicator& host, DeviceTransport& t, const Stream& s) {
  const int n = host.size(), me = host.rank();
  for (const Dtype dtype : kAll)
    for (const int form : {0, 1, 2}) {  // equal; unequal with empty blocks; from the first rank to the last only
      const auto between = [&](int from, int to) -> std::size_t {
        if (form == 0) return 20'000;
        if (form == 1) return (from * 5 + to * 3) % 4 == 1 ? 0 : static_cast<std::size_t>(from * 1013 + 5'000 * to + 1);
        return from == 0 && to == n - 1 ? 4097 : 0;
      };
      Counts to, from;
      Bytes in;
      for (int r = 0; r < n; ++r) {
        to.push_back(between(me, r));
        from.push_back(between(r, me));
        const Bytes block = numbers(to.back(), dtype, me * n + r);
        in.insert(in.end(), block.begin(), block.end());
      }
      Bytes right(total(from) * eddy::size_of(dtype));
      host.all_to_all_v(in.data(), to, right.data(), from, dtype);
      const Memory sent(s, in), out(s, poison(right.size()));
      t.all_to_all_v(sent.data(), to, out.data(), from, dtype, s);
      INFO("all_to_all of " << eddy::name_of(dtype) << ", form " << form);
      CHECK((out.read() == right));
    }
}

inline void broadcasts(Communicator& host, DeviceTransport& t, const Stream& s) {
  for (const Dtype dtype : kAll)
    for (int root = 0; root < host.size(); ++root)
      for (const std::size_t count : {std::size_t{0}, std::size_t{5}, std::size_t{60'001}}) {
        const Bytes right = numbers(count, dtype, root);
        const Memory data(s, host.rank() == root ? right : poison(right.size()));
        t.broadcast(data.data(), count, dtype, root, s);
        INFO("broadcast of " << count << ' ' << eddy::name_of(dtype) << " from rank " << root);
        CHECK((data.read() == right));
      }
}

/// Neighbours send to each other before either receives: more than any buffer of the transport holds. A send's data are
/// what the stream's earlier work leaves there, and later work may overwrite them once it was waited for.
inline void messages(Communicator& host, DeviceTransport& t, const Stream& s) {
  const int n = host.size(), me = host.rank(), rounds = 3;
  const std::size_t count = (std::size_t{3} << 20) + 5, zeroed = 1 << 20;
  const auto message = [&](int from, int to, int round) {
    return numbers(count, Dtype::f32, 100 * from + 10 * to + round);
  };
  std::vector<int> peers;
  for (const int peer : {me - 1, me + 1})
    if (peer >= 0 && peer < n) peers.push_back(peer);
  std::vector<std::unique_ptr<Memory>> sent;
  std::vector<std::unique_ptr<eddy::comm::Request>> requests;
  for (int round = 0; round < rounds; ++round)
    for (const int peer : peers) {
      sent.push_back(std::make_unique<Memory>(s, message(me, peer, round)));
      eddy::device::zero(s, sent.back()->data(), zeroed);
      requests.push_back(t.isend(sent.back()->data(), count, Dtype::f32, peer, round, s));
      requests.push_back(t.isend(nullptr, 0, Dtype::f32, peer, 100 + round, s));
    }
  for (int round = 0; round < rounds; ++round)
    for (const int peer : peers) {
      Bytes right = message(peer, me, round);
      std::fill_n(right.begin(), zeroed, std::byte{0});
      const Memory in(s, poison(right.size()));
      t.recv(in.data(), count, Dtype::f32, peer, round, s);
      t.recv(nullptr, 0, Dtype::f32, peer, 100 + round, s);
      INFO("message " << round << " of rank " << peer << " to " << me);
      CHECK((in.read() == right));
    }
  for (auto& r : requests) r->wait();
  for (auto& m : sent) eddy::device::zero(s, m->data(), m->size());
  // The buffer is overwritten right behind the wait. By way of the host that waits for the receiver: ranks take turns.
  for (const int peer : peers) {
    const Memory data(s, numbers(count, Dtype::bf16, me)), in(s, poison(count * 2)), one(s, poison(4));
    const auto send = [&] {
      t.isend(data.data(), count, Dtype::bf16, peer, 7, s)->wait();
      eddy::device::zero(s, data.data(), data.size());
      (void)t.isend(sent[0]->data(), 1, Dtype::f32, peer, 8, s);  // its destructor waits
    };
    if (me % 2 == 0) send();
    t.recv(in.data(), count, Dtype::bf16, peer, 7, s);
    t.recv(one.data(), 1, Dtype::f32, peer, 8, s);
    if (me % 2 == 1) send();
    CHECK((in.read() == numbers(count, Dtype::bf16, peer)));
    CHECK((one.read() == Bytes(4, std::byte{0})));
  }
}

inline void every_operation(Communicator& host, DeviceTransport& t, const Stream& s) {
  broadcasts(host, t, s);
  gathers(host, t, s);
  scatters(host, t, s);
  reductions(host, t, s);
  exchanges(host, t, s);
}

}  // namespace eddy_test
