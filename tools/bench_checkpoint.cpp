#include "bench_checkpoint.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/log.h"
#include "base/options.h"
#include "base/units.h"
#include "checkpoint/saver.h"
#include "comm/session.h"
#include "device/gpu.h"
#include "device/upload.h"
#include "io/file.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/gemm/gemm.h"
#include "tensor/tensor.h"
#include "train/device.h"

namespace eddy {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kBlock = 8 << 20;  // dd's bs
constexpr std::int64_t kColumns = 4096;
constexpr const char* kPrefixes[] = {"model/", "optim.m/", "optim.v/"};

/// This rank's part of a state like a run's: rows of a few tensors and of their moments, float32, where the stream
/// runs.
class State {
 public:
  State(const comm::Communicator& world, std::uint64_t bytes, const device::Stream& stream) {
    const auto rows = static_cast<std::int64_t>(bytes / (3 * kTensors * kColumns * 4));
    const std::int64_t first = rows * world.rank() / world.size(), last = rows * (world.rank() + 1) / world.size();
    for (const char* prefix : kPrefixes)
      for (int i = 0; i < kTensors; ++i) {
        tensors_.emplace_back(tensor::Shape{last - first, kColumns}, Dtype::f32, stream);
        blocks_.push_back({fmt::format("{}layer.{}.weight", prefix, i), {rows, kColumns}, {first, 0}, tensors_.back()});
      }
    tensor::Tensor values({last - first, kColumns});
    std::uint32_t x = 1;
    for (const auto& t : tensors_) {
      for (std::int64_t i = 0; i < values.view().numel(); ++i) {
        x = x * 1664525u + 1013904223u;
        values.f32()[i] = static_cast<float>(x >> 8);
      }
      tensor::put(stream, values, t);
    }
  }
  const std::vector<tensor::Slice>& blocks() const { return blocks_; }
  std::uint64_t bytes() const {
    std::uint64_t n = 0;
    for (const auto& b : blocks_) n += b.view.bytes();
    return n;
  }

 private:
  static constexpr int kTensors = 8;
  std::vector<tensor::Tensor> tensors_;
  std::vector<tensor::Slice> blocks_;
};

/// Page-aligned memory, as dd has.
struct Aligned {
  void* data = std::aligned_alloc(4096, kBlock);
  Aligned() { std::fill_n(static_cast<char*>(data), kBlock, 'x'); }
  ~Aligned() { std::free(data); }
  Aligned(const Aligned&) = delete;
  Aligned& operator=(const Aligned&) = delete;
};

/// dd bs=8M oflag=direct conv=fsync; without O_DIRECT where the file system refuses it.
void write_like_dd(const fs::path& path, std::uint64_t bytes, const Aligned& block) {
  io::Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_DIRECT | O_CLOEXEC, 0666));
  if (file.get() < 0) file = io::Descriptor(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  for (std::uint64_t done = 0; done < bytes; done += kBlock)
    if (::write(file.get(), block.data, kBlock) != static_cast<ssize_t>(kBlock))
      fail_run("cannot write {}", path.string());
  if (::fsync(file.get()) != 0) fail_run("cannot sync {}", path.string());
}

/// dd bs=8M of=/dev/null
void read_like_dd(const fs::path& path, const Aligned& block) {
  const io::Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  for (ssize_t n = 1; n != 0;)
    if ((n = ::read(file.get(), block.data, kBlock)) < 0) fail_run("cannot read {}", path.string());
}

/// Takes a file out of the page cache.
void forget(const fs::path& path) {
  const io::Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  ::fdatasync(file.get());
  ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
}
void forget_all(const fs::path& folder) {
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) forget(entry.path());
}

/// Seconds of the slowest rank.
template <class F>
double seconds(comm::Communicator& world, F work) {
  world.barrier();
  const auto start = std::chrono::steady_clock::now();
  work();
  double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  world.all_reduce(&s, 1, Dtype::f64, comm::Reduce::max);
  return s;
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

/// Stands for training: products of matrices and sums, some tens of milliseconds; a GPU is given some hundred kernels,
/// small things from the host before them, and is waited for.
class Work {
 public:
  explicit Work(device::Stream stream) : stream_(std::move(stream)) {
    tensor::Tensor host({side(), side()});
    for (std::int64_t i = 0; i < host.view().numel(); ++i) host.f32()[i] = static_cast<float>(i % 17) - 8;
    for (auto* t : {&a_, &b_, &c_, &d_}) {
      *t = tensor::Tensor({side(), side()}, stream_.on_gpu() ? Dtype::bf16 : Dtype::f32, stream_);
      tensor::put(stream_, host, *t);
    }
  }
  void step() {
    const int products = stream_.on_gpu() ? 120 : 4;
    std::vector<std::int32_t> tokens(4096, 1);
    for (int i = 0; i < products; ++i) {
      if (i % 10 == 0) {
        const device::Upload batch{tokens.data(), d_.view().data, tokens.size() * sizeof tokens[0]};
        device::upload(stream_, {&batch, 1});
      }
      kernels::linear(stream_, a_, b_, c_);
      if (stream_.on_gpu()) kernels::add(stream_, c_, d_);
    }
    stream_.synchronize();
  }

 private:
  std::int64_t side() const { return stream_.on_gpu() ? 4096 : 768; }
  device::Stream stream_;
  tensor::Tensor a_, b_, c_, d_;
};

/// Bytes a second from the GPU to page-locked memory: what bounds an asynchronous save's stall. All ranks at once, the
/// slowest.
double link_speed(comm::Communicator& world, const device::Stream& stream) {
  constexpr std::int64_t kBytes = std::int64_t{1} << 30;
  const tensor::Tensor from = tensor::Tensor::zeros({kBytes}, Dtype::u8, stream);
  const device::PinnedBuffer to(kBytes);
  std::vector<double> times;
  for (int i = 0; i < 6; ++i)
    times.push_back(seconds(world, [&] { device::copy_to_host(stream, from.view().data, to.data(), kBytes); }));
  return static_cast<double>(kBytes) / *std::min_element(times.begin(), times.end());
}

struct Times {
  std::vector<double> dd_write, save, dd_read, load, stall, step, step_during;
  double first_stall = 0, link_copy = 0;
};

struct Bench {
  comm::Communicator& world;
  fs::path dir;
  checkpoint::SaveOptions options;
  bool on_gpu;
  State state;
  State loaded;
  checkpoint::Saver saver;
  Work work;
  Times t;

  Bench(comm::Communicator& w, fs::path d, std::uint64_t bytes, const checkpoint::SaveOptions& o,
        const device::Stream& stream)
      : world(w),
        dir(std::move(d)),
        options(o),
        on_gpu(stream.on_gpu()),
        state(w, bytes, stream),
        loaded(w, bytes, {}),
        saver(w, stream),
        work(stream) {
    if (!on_gpu) return;
    t.link_copy = static_cast<double>(state.bytes()) / link_speed(world, stream);
    world.all_reduce(&t.link_copy, 1, Dtype::f64, comm::Reduce::max);
  }

  checkpoint::Saver::Job job(const char* name, bool copy) const {
    checkpoint::Saver::Job j;
    j.dir = dir / name;
    j.owned = state.blocks();
    j.options = options;
    j.copy = copy;
    return j;
  }

  void pass(int i) {
    const fs::path own = dir / fmt::format("dd-{}", world.rank()), path = dir / "step-00000001";
    const Aligned block;
    t.dd_write.push_back(seconds(world, [&] { write_like_dd(own, state.bytes(), block); }));
    t.save.push_back(seconds(world, [&] {
      const double stall =
          seconds(world, [&] { saver.begin(job("step-00000001", on_gpu && options.staging.empty())); });
      if (i == 0 && on_gpu) t.first_stall = stall;  // the memory of a GPU's copy is taken now
      saver.wait();
    }));
    forget(own);
    if (world.rank() == 0) forget_all(path);
    t.dd_read.push_back(seconds(world, [&] { read_like_dd(own, block); }));
    t.load.push_back(seconds(world, [&] {
      const checkpoint::Checkpoint saved(path);
      for (const auto& b : loaded.blocks()) saved.read(b);
    }));
    async_save(i);
  }

  void async_save(int i) {
    std::vector<double> usual, during;
    for (int k = 0; k < 10; ++k) usual.push_back(seconds(world, [&] { work.step(); }));
    double stall = seconds(world, [&] { saver.begin(job("step-00000002", true)); });
    for (bool done = false; !done;) {
      bool busy = false;
      const double s = seconds(world, [&] { work.step(); });
      stall += seconds(world, [&] { saver.wait_for_copy(); });  // the step's update would come now
      double any = saver.local().busy ? 1 : 0;
      world.all_reduce(&any, 1, Dtype::f64, comm::Reduce::max);
      busy = any > 0;
      if (busy) during.push_back(s);
      const double agreeing = seconds(world, [&] { done = saver.advance(busy, false); });
      if (!busy) stall += agreeing;
    }
    if (i == 0) {  // a CPU's copy took its memory: later saves are what a run sees
      if (!on_gpu) t.first_stall = stall;
      return;
    }
    t.stall.push_back(stall);
    t.step.push_back(median(usual));
    if (!during.empty()) t.step_during.push_back(median(during));
  }
};

nlohmann::ordered_json figures(const Times& t, double bytes) {
  const auto best = [](const std::vector<double>& v) { return *std::min_element(v.begin(), v.end()); };
  nlohmann::ordered_json j{{"bytes", bytes},
                           {"dd_write_s", median(t.dd_write)},
                           {"save_s", median(t.save)},
                           {"dd_read_s", median(t.dd_read)},
                           {"load_s", median(t.load)},
                           {"save_of_dd", median(t.dd_write) / median(t.save)},
                           {"best_save_of_dd", best(t.dd_write) / best(t.save)},
                           {"load_of_dd", median(t.dd_read) / median(t.load)},
                           {"best_load_of_dd", best(t.dd_read) / best(t.load)}};
  if (!t.stall.empty()) {
    j["async_stall_s"] = median(t.stall);
    j["async_stall_of_save"] = median(t.stall) / median(t.save);
    j["async_first_stall_s"] = t.first_stall;
    if (t.link_copy > 0) {
      j["link_copy_s"] = t.link_copy;
      j["async_stall_of_link_copy"] = median(t.stall) / t.link_copy;
    }
  }
  if (!t.step_during.empty()) {
    j["step_s"] = median(t.step);
    j["step_during_write_s"] = median(t.step_during);
    j["step_during_of_usual"] = median(t.step_during) / median(t.step);
  }
  return j;
}

}  // namespace

int bench_checkpoint(const std::vector<std::string>& arguments) {
  std::string dir = fs::temp_directory_path().string(), size = "1GB", device = "auto", staging;
  int passes = 5;
  bool json = false;
  checkpoint::SaveOptions how;
  Options options("eddy-bench checkpoint", "[--dir DIR] [--bytes 4GB] (also under mpirun)",
                  "Saving and loading a checkpoint beside dd with direct I/O and sync, and cold reading, of the same "
                  "bytes; what an asynchronous save costs the steps, on a GPU beside the copy of the same bytes to "
                  "page-locked memory.");
  options.add("dir", &dir, "a folder on the file system to measure; a folder of its own is made there, and removed");
  options.add("bytes", &size, "of the state, all ranks together");
  options.add("run.device", &device, "where the state lies", {.choices = {"auto", "cpu", "cuda"}});
  options.add("passes", &passes, "medians are of so many", {.min = 2, .max = 1000});
  options.add("ranks-per-file", &how.ranks_per_file, "ranks that share a data file", {.min = 1});
  options.add("threads", &how.threads, "threads of a rank that write", {.min = 1});
  options.add("direct", &how.direct, "write with O_DIRECT");
  options.add("staging", &staging, "the asynchronous save's copy waits in this folder (checkpoint.staging)");
  options.add("json", &json, "print JSON", {.command_line_only = true});
  if (!options.parse(arguments)) return 0;
  how.staging = staging;

  comm::Session session;
  session.set_threads(0);
  auto& world = session.world();
  train::Device place = train::choose_device(session, device);
  train::open(place);
  const fs::path own = fs::path(dir) / "eddy-bench-checkpoint";
  if (world.rank() == 0) fs::create_directories(own);
  world.barrier();
  const std::uint64_t bytes = parse_bytes(size, "--bytes");
  nlohmann::ordered_json j;
  {
    Bench bench(world, own, bytes, how, place.stream);
    for (int i = 0; i < passes; ++i) bench.pass(i);
    double all = static_cast<double>(bench.state.bytes());
    world.all_reduce(&all, 1, Dtype::f64, comm::Reduce::sum);
    j = figures(bench.t, all);
  }
  world.barrier();
  if (world.rank() == 0) fs::remove_all(own);
  if (world.rank() != 0) return 0;
  if (json) {
    fmt::print("{}\n", j.dump());
    return 0;
  }
  const auto rate = [&](const char* key) { return j["bytes"].get<double>() / j[key].get<double>() * 1e-9; };
  fmt::print("{} on {} rank(s), {}, medians of {}\n", bytes_text(j["bytes"].get<double>()), world.size(),
             place.on_gpu() ? place.name : "CPU", passes);
  fmt::print("saving {:.2f} GB/s, dd with direct I/O and sync {:.2f} GB/s: {:.0f}% (of the fastest passes: {:.0f}%)\n",
             rate("save_s"), rate("dd_write_s"), 100 * j["save_of_dd"].get<double>(),
             100 * j["best_save_of_dd"].get<double>());
  fmt::print("loading {:.2f} GB/s, dd of files not in memory {:.2f} GB/s: {:.0f}% (of the fastest passes: {:.0f}%)\n",
             rate("load_s"), rate("dd_read_s"), 100 * j["load_of_dd"].get<double>(),
             100 * j["best_load_of_dd"].get<double>());
  fmt::print("an asynchronous save stalls {:.3f} s, {:.1f}% of a synchronous one (the first of a run {:.3f} s)\n",
             j["async_stall_s"].get<double>(), 100 * j["async_stall_of_save"].get<double>(),
             j["async_first_stall_s"].get<double>());
  if (j.contains("link_copy_s"))
    fmt::print(
        "copying the same bytes from the GPU at the link's {:.1f} GB/s takes {:.3f} s: the stall is {:.2f} times "
        "that\n",
        j["bytes"].get<double>() / world.size() / j["link_copy_s"].get<double>() * 1e-9, j["link_copy_s"].get<double>(),
        j["async_stall_of_link_copy"].get<double>());
  if (j.contains("step_s"))
    fmt::print("a step takes {:.1f} ms, {:.1f} ms while a checkpoint is written: {:.2f} times\n",
               1e3 * j["step_s"].get<double>(), 1e3 * j["step_during_write_s"].get<double>(),
               j["step_during_of_usual"].get<double>());
  return 0;
}

}  // namespace eddy
