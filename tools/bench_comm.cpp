#include "bench_comm.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/options.h"
#include "comm/session.h"
#include "comm/transports.h"
#include "train/device.h"

namespace eddy {
namespace {

using comm::Communicator;
using device::Stream;

/// Memory where the stream works.
class Room {
 public:
  Room(const Stream& stream, std::size_t bytes) : arena_(stream.arena()), host_(arena_ ? 0 : bytes) {
    data_ = arena_ ? arena_->take(bytes) : host_.data();
    device::zero(stream, data_, bytes);
  }
  ~Room() {
    if (arena_) arena_->give(data_);
  }
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;
  void* data() const { return data_; }

 private:
  device::Arena* arena_;
  std::vector<std::byte> host_;
  void* data_;
};

/// Seconds of one call: the slowest rank's, over `repeats` calls enqueued one after the other; the median of five.
double seconds_of(Communicator& world, const Stream& stream, int repeats, const std::function<void()>& call) {
  using Clock = std::chrono::steady_clock;
  for (int i = 0; i < 3; ++i) call();
  std::vector<double> times;
  for (int i = 0; i < 5; ++i) {
    stream.synchronize();
    world.barrier();
    const auto start = Clock::now();
    for (int k = 0; k < repeats; ++k) call();
    stream.synchronize();
    double seconds = std::chrono::duration<double>(Clock::now() - start).count() / repeats;
    world.all_reduce(&seconds, 1, Dtype::f64, comm::Reduce::max);
    times.push_back(seconds);
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

/// A collective on float32 elements. nccl-tests counts as its size: all_reduce the data, all_gather the result,
/// reduce_scatter and all_to_all what a rank brings; the bus carries `share` of that to and from each rank.
struct Collective {
  const char* name;
  double share;
  std::function<void(const void* in, void* out, std::size_t elements)> run;  ///< elements: a multiple of the ranks
};

}  // namespace

int bench_comm(const std::vector<std::string>& arguments) {
  std::string device = "auto", backend = "auto";
  bool json = false;
  int repeats = 20, smallest = 8, largest = 512;
  Options options("eddy-bench comm", "[options], under mpirun with two ranks or more",
                  "Bus bandwidth, as nccl-tests defines it, of the collectives that training uses.");
  options.add("run.device", &device, "where the data lie", {.choices = {"auto", "cpu", "cuda"}});
  options.add("comm.backend", &backend, "what carries a GPU's data", {.choices = {"auto", "nccl", "mpi"}});
  options.add("smallest", &smallest, "MiB, where the sizes begin", {.min = 1, .max = 1 << 14});
  options.add("largest", &largest, "MiB, where they end; each is four times the one before",
              {.min = 1, .max = 1 << 14});
  options.add("repeats", &repeats, "calls that are timed together", {.min = 1});
  options.add("json", &json, "print JSON", {.command_line_only = true});
  if (!options.parse(arguments)) return 0;

  comm::Session session;
  if (session.size() < 2) fail_input("eddy-bench comm measures between ranks: start two or more (mpirun -n 2 ...)");
  session.set_timeout(300);
  Communicator& world = session.world();
  const auto ranks = static_cast<std::size_t>(session.size());
  const std::size_t most = (static_cast<std::size_t>(largest) << 20) / sizeof(float) / ranks * ranks;
  train::Device place = train::choose_device(session, device);
  place.capacity = std::min(place.capacity, 2 * most * sizeof(float) + (std::size_t{1} << 20));
  train::open(place);
  const Stream& stream = place.stream;
  std::string carrier = "host memory, MPI";
  if (stream.on_gpu()) {
    comm::Transports transports(world, comm::parse_backend(backend));
    transports.attach(world);
    carrier = place.name + (transports.backend() == comm::Backend::nccl ? ", NCCL" : ", MPI by way of the host");
  }

  const double others = static_cast<double>(ranks - 1) / static_cast<double>(ranks);
  const Collective collectives[] = {
      {"all_to_all", others,
       [&](const void* in, void* out, std::size_t n) { world.all_to_all(in, out, n / ranks, Dtype::f32, stream); }},
      {"all_reduce", 2 * others,
       [&](const void*, void* out, std::size_t n) { world.all_reduce(out, n, Dtype::f32, comm::Reduce::sum, stream); }},
      {"all_gather", others,
       [&](const void* in, void* out, std::size_t n) { world.all_gather(in, out, n / ranks, Dtype::f32, stream); }},
      {"reduce_scatter", others, [&](const void* in, void* out, std::size_t n) {
         world.reduce_scatter(in, out, n / ranks, Dtype::f32, stream);
       }}};
  auto rows = nlohmann::ordered_json::array();
  {
    const Room in(stream, most * sizeof(float)), out(stream, most * sizeof(float));
    for (std::int64_t mib = smallest; mib <= largest; mib *= 4) {
      const std::size_t n = (static_cast<std::size_t>(mib) << 20) / sizeof(float) / ranks * ranks;
      for (const Collective& c : collectives) {
        const double seconds = seconds_of(world, stream, repeats, [&] { c.run(in.data(), out.data(), n); });
        const double bytes = static_cast<double>(n * sizeof(float));
        rows.push_back({{"operation", c.name},
                        {"mib", mib},
                        {"seconds", seconds},
                        {"bus_bytes_per_s", c.share * bytes / seconds}});
      }
    }
  }
  if (session.rank() != 0) return 0;
  if (json) {
    fmt::print("{}\n",
               nlohmann::ordered_json{{"ranks", ranks}, {"carrier", carrier}, {"collectives", std::move(rows)}}.dump());
    return 0;
  }
  fmt::print("{} ranks; {}; float32, median of 5 times {} calls\n", ranks, carrier, repeats);
  fmt::print("{:>8} {:<16}{:>12}{:>18}\n", "MiB", "operation", "ms", "bus GB/s");
  for (const auto& r : rows)
    fmt::print("{:>8} {:<16}{:>12.3f}{:>18.1f}\n", r["mib"].get<int>(), r["operation"].get<std::string>(),
               1e3 * r["seconds"].get<double>(), 1e-9 * r["bus_bytes_per_s"].get<double>());
  return 0;
}

}  // namespace eddy
