#include "bench_kernels.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "base/options.h"
#include "base/rng.h"
#include "bench_kernel_cases.h"
#include "comm/session.h"
#include "device/span.h"
#include "kernels/elementwise/elementwise.h"
#include "train/device.h"

namespace eddy {
namespace {

using device::Stream;
using tensor::Tensor;
using Calls = std::vector<std::function<void()>>;

constexpr std::size_t kRotated = std::size_t{256} << 20;  // bytes of operands between two uses of one: five L2 caches
constexpr std::size_t kMostSets = 64;

/// What one call costs at least, by its spans. Nothing on the CPU.
device::Cost cost_of(const Stream& stream, const std::function<void()>& call) {
  device::start_profile(stream);
  call();
  device::Cost cost;
  for (const auto& span : device::stop_profile(stream)) {
    cost.bytes += span.cost.bytes;
    cost.flops += span.cost.flops;
  }
  return cost;
}

double wall_seconds(const Stream& stream, int calls, const std::function<void(int)>& call) {
  stream.synchronize();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < calls; ++i) call(i);
  stream.synchronize();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / calls;
}

/// Times calls on one device.
class Timer {
 public:
  explicit Timer(const Stream& stream) : stream_(stream) {
    if (!stream.on_gpu()) return;
    const std::int64_t n = std::int64_t{1} << 28;
    from_ = Tensor::zeros({n}, Dtype::f32, stream);
    to_ = Tensor({n}, Dtype::f32, stream);
  }
  /// Seconds of one call, the sets of operands in turn: the median of batches of about 10 ms. On a GPU by its own
  /// clock, from the first kernel's start to the last one's end; before a batch the GPU has something else to do, so
  /// that the host is ahead of it.
  double seconds(const Calls& calls) const {
    const auto sets = static_cast<int>(calls.size());
    const auto call = [&](int i) { calls[static_cast<std::size_t>(i % sets)](); };
    const double once = wall_seconds(stream_, std::max(2, sets), call);  // the first time, with what that alone takes
    const double again = once > 1 ? once : wall_seconds(stream_, std::max(2, sets), call);
    const int batch = static_cast<int>(std::clamp(kBatch / again, 2.0, 200.0)), batches = again > 1 ? 1 : kBatches;
    std::vector<double> times;
    if (!stream_.on_gpu()) {
      for (int b = 0; b < batches; ++b) times.push_back(wall_seconds(stream_, batch, call));
    } else {
      device::start_profile(stream_);
      for (int b = 0; b < batches; ++b) {
        for (int i = 0; i < 3; ++i) kernels::copy(stream_, from_, to_);
        const device::Span span(stream_, kNames[b]);  // the calls' own spans are passed over within
        for (int i = 0; i < batch; ++i) call(i);
      }
      for (const auto& span : device::stop_profile(stream_))
        if (span.name[0] == kNames[0][0]) times.push_back(span.seconds / batch);
    }
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
  }

 private:
  static constexpr double kBatch = 0.01;
  static constexpr int kBatches = 7;
  static constexpr const char* kNames[kBatches] = {"#0", "#1", "#2", "#3", "#4", "#5", "#6"};
  const Stream& stream_;
  Tensor from_, to_;
};

struct Row {
  std::string operation, size, ceiling;
  int times = 0;
  double seconds = 0, share = 0;  ///< share: of the ceiling; 0 where that is not known
  device::Cost cost;
};

Row measure(const Stream& stream, const Timer& timer, tensor::View table, const KernelCase& c) {
  std::vector<OperandSet> sets;
  Calls calls;
  std::size_t bytes = 0;
  while (calls.empty() || (stream.on_gpu() && bytes < kRotated && calls.size() < kMostSets)) {
    sets.emplace_back(stream, table);
    calls.push_back(c.make(sets.back()));
    bytes += sets.back().bytes();
  }
  const device::Cost cost = cost_of(stream, calls[0]);
  return {c.operation, c.size, c.ceiling, c.times, timer.seconds(calls), 0, cost};
}

/// The rows of one operation, weighted by how often a step of the slice has them: its time, and the share of its
/// ceiling.
struct Sum {
  double seconds = 0, at_ceiling = 0;
  int sizes = 0;
};

nlohmann::ordered_json to_json(const Row& r) {
  nlohmann::ordered_json j{{"operation", r.operation}, {"size", r.size},        {"times_a_step", r.times},
                           {"seconds", r.seconds},     {"bytes", r.cost.bytes}, {"flops", r.cost.flops},
                           {"of_ceiling", r.share}};
  if (!r.ceiling.empty()) j["ceiling"] = r.ceiling;
  return j;
}

void print(const Row& r) {
  const bool product = r.cost.flops > 100 * r.cost.bytes;
  const double rate = (product ? r.cost.flops * 1e-12 : r.cost.bytes * 1e-9) / r.seconds;
  fmt::print("{:<30} {:<38} {:>11.1f} {:>9} {:<8} {:>7}  {}\n", r.operation, r.size, r.seconds * 1e6,
             rate > 0 ? fmt::format("{:.0f}", rate) : "", rate > 0 ? (product ? "TFLOP/s" : "GB/s") : "",
             r.share > 0 ? fmt::format("{:.0f}%", 100 * r.share) : "", r.ceiling.empty() ? "" : "of " + r.ceiling);
  std::fflush(stdout);
}

}  // namespace

int bench_kernels(const std::vector<std::string>& arguments) {
  std::string device = "auto", only;
  bool json = false;
  Options options("eddy-bench kernels", "[options]",
                  "Every kernel at the sizes of the benchmark slice, operands not in the cache: its time, what it must "
                  "move or compute at least, and the share of a ceiling measured in the same run. On a CPU small sizes "
                  "and times only.");
  options.add("run.device", &device, "where to run", {.choices = {"auto", "cpu", "cuda"}});
  options.add("only", &only, "measure only the kernels whose name begins so, and the ceilings");
  options.add("json", &json, "print JSON", {.command_line_only = true});
  if (!options.parse(arguments)) return 0;

  comm::Session session;
  if (session.size() > 1) fail_input("eddy-bench kernels measures one device: start it on one rank");
  session.set_threads(0);
  train::Device place = train::choose_device(session, device);
  train::open(place);
  const Stream& stream = place.stream;
  const SliceSizes sizes = stream.on_gpu() ? SliceSizes{} : small_sizes();

  constexpr std::int64_t kTable = std::int64_t{1} << 22;
  Tensor host({kTable});
  for (std::int64_t i = 0; i < kTable / 2; ++i)
    for (std::size_t j = 0; j < 2; ++j)
      host.f32()[2 * i + static_cast<std::int64_t>(j)] =
          static_cast<float>(normal2(philox(1, static_cast<std::uint64_t>(i)))[j]);
  const Tensor table({kTable}, stream.on_gpu() ? Dtype::bf16 : Dtype::f32, stream);
  tensor::put(stream, host, table);

  const std::string name = place.on_gpu() ? place.name : "CPU";
  if (!json) {
    fmt::print("{}, {}, medians of batches, operands out of the cache\n", name, name_of(table.view().dtype));
    fmt::print("{:<30} {:<38} {:>11} {:>9} {:<8} {:>7}\n", "operation", "size", "us", "rate", "", "ceiling");
  }
  const Timer timer(stream);
  auto rows = nlohmann::ordered_json::array();
  std::map<std::string, Sum> sums;
  std::map<std::string, double> seconds;
  double copy_bytes = 0, gemm_flops = 0;
  const auto cases = kernel_cases(sizes, stream.on_gpu());
  const auto needed = [&](const KernelCase& c, std::size_t i) {
    const auto chosen = [&](const KernelCase& k) { return k.operation.compare(0, only.size(), only) == 0; };
    return i < 2 || chosen(c) || std::any_of(cases.begin(), cases.end(), [&](const KernelCase& k) {
             return chosen(k) && k.ceiling == c.name();
           });
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const KernelCase& c = cases[i];
    if (!needed(c, i)) continue;
    Row row = measure(stream, timer, table, c);
    if (i == 0) copy_bytes = row.cost.bytes / row.seconds;
    if (i == 1) gemm_flops = row.cost.flops / row.seconds;
    seconds[c.name()] = row.seconds;
    if (!c.ceiling.empty())
      row.share = seconds.at(c.ceiling) / row.seconds;
    else if (copy_bytes > 0)
      row.share = std::max(row.cost.bytes / copy_bytes, gemm_flops > 0 ? row.cost.flops / gemm_flops : 0) / row.seconds;
    Sum& sum = sums[c.operation];
    sum.seconds += c.times * row.seconds;
    sum.at_ceiling += c.times * row.seconds * row.share;
    sum.sizes += c.times > 0;
    rows.push_back(to_json(row));
    if (!json) print(row);
  }
  auto whole = nlohmann::ordered_json::array();
  if (!json) fmt::print("\nall sizes of an operation, as often as a step of the slice has them\n");
  for (const auto& [operation, sum] : sums) {
    if (sum.sizes == 0) continue;
    const double share = sum.at_ceiling / sum.seconds;
    whole.push_back({{"operation", operation}, {"seconds", sum.seconds}, {"of_ceiling", share}});
    if (!json)
      fmt::print("{:<69} {:>11.1f} {:>26}\n", operation, sum.seconds * 1e6,
                 share > 0 ? fmt::format("{:.0f}%", 100 * share) : "");
  }
  if (json)
    fmt::print("{}\n", nlohmann::ordered_json{{"device", name},
                                              {"copy_bytes_per_s", copy_bytes},
                                              {"gemm_flops", gemm_flops},
                                              {"kernels", std::move(rows)},
                                              {"operations", std::move(whole)}}
                           .dump());
  return 0;
}

}  // namespace eddy
