#include "bench_convert.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "base/error.h"
#include "base/log.h"
#include "base/options.h"
#include "base/units.h"
#include "hf/config.h"
#include "hf/folder_writer.h"
#include "hf/fp8.h"
#include "hf/names.h"
#include "io/file.h"

namespace eddy {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

template <class F>
double seconds(F&& body) {
  const auto begin = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// Of this thread only: what other programs take of the machine does not count, but for its memory.
double cpu_seconds() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

/// GB/s of BF16 of one thread on one of R1's expert matrices [2048, 7168], the best of `passes`, in a core's time and
/// (…_wall_…) by the clock. What is timed takes turns, so that memory that others keep busy slows all alike.
Json in_memory(int passes) {
  const std::int64_t rows = 2048, cols = 7168, n = rows * cols;
  std::vector<std::uint8_t> q(static_cast<std::size_t>(n)), made(q.size());
  std::vector<std::uint16_t> values(q.size()), copy(q.size());
  std::vector<float> scales(static_cast<std::size_t>(hf::fp8_blocks(rows) * hf::fp8_blocks(cols)), 4e-4f);
  std::vector<float> found(scales.size());
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 110);
  for (auto& b : q) b = hf::float_to_fp8(normal(random));
  const std::vector<std::pair<std::string, std::function<void()>>> timed{
      {"fp8_to_bf16", [&] { hf::dequantise(q.data(), scales.data(), cols, 0, n, values.data()); }},
      {"bf16_to_fp8", [&] { hf::quantise(values.data(), rows, cols, {}, made.data(), found.data()); }},
      {"bf16_to_fp8_kept_scales",
       [&] {
         hf::quantise(values.data(), rows, cols, {scales.data(), false}, made.data(), found.data());
       }},
      {"memcpy", [&] { std::memcpy(copy.data(), values.data(), copy.size() * 2); }}};
  std::map<std::string, double> wall, cpu;
  for (int i = 0; i < passes; ++i)
    for (const auto& [name, body] : timed) {
      const double begin = cpu_seconds(), took = seconds(body), own = cpu_seconds() - begin;
      wall[name] = i == 0 ? took : std::min(wall[name], took);
      cpu[name] = i == 0 ? own : std::min(cpu[name], own);
    }
  if (made != q) fail_run("the FP8 bytes did not come back");
  Json out;
  const double gb = 2.0 * static_cast<double>(n) / 1e9;
  for (const auto& [name, body] : timed) {
    out[name + "_gb_per_s"] = gb / cpu[name];
    out[name + "_wall_gb_per_s"] = gb / wall[name];
    out[name + "_over_memcpy"] = cpu["memcpy"] / cpu[name];
  }
  return out;
}

/// An FP8 folder of about `bytes`, made for the benchmark; removed at the end.
class MadeFolder {
 public:
  MadeFolder(const std::string& below, std::uint64_t bytes) {
    std::string name =
        ((below.empty() ? fs::temp_directory_path() : fs::path(below)) / "eddy-bench-convert-XXXXXX").string();
    if (!mkdtemp(name.data())) fail_run("cannot make a folder like {}", name);
    path_ = name;
    const int hidden = 2048, width = 1408, experts = 64;
    const std::uint64_t layer = std::uint64_t{3} * experts * hidden * width;
    const auto layers = static_cast<int>(std::max<std::uint64_t>(1, bytes / layer));
    const Json json = {{"model_type", "deepseek_v3"},
                       {"vocab_size", 4096},
                       {"hidden_size", hidden},
                       {"intermediate_size", 2816},
                       {"moe_intermediate_size", width},
                       {"num_hidden_layers", layers},
                       {"num_attention_heads", 16},
                       {"n_shared_experts", 1},
                       {"n_routed_experts", experts},
                       {"num_experts_per_tok", 6},
                       {"n_group", 8},
                       {"topk_group", 4},
                       {"routed_scaling_factor", 2.5},
                       {"norm_topk_prob", true},
                       {"first_k_dense_replace", 0},
                       {"kv_lora_rank", 512},
                       {"q_lora_rank", nullptr},
                       {"qk_nope_head_dim", 128},
                       {"qk_rope_head_dim", 64},
                       {"v_head_dim", 128},
                       {"max_position_embeddings", 4096},
                       {"torch_dtype", "bfloat16"}};
    fs::create_directory(input());
    std::ofstream(input() / "config.json") << json.dump(2);
    std::vector<hf::Declared> tensors;
    for (const auto& t : hf::expected_tensors(hf::parse_config(json, "the benchmark's config"), false, false)) {
      const bool fp8 = hf::is_quantised_in_fp8(t.name);
      tensors.push_back({t.name, t.always_f32 ? Dtype::f32 : fp8 ? Dtype::f8e4m3 : Dtype::bf16, t.shape});
      if (fp8) tensors.push_back({hf::scale_name(t.name), Dtype::f32, hf::fp8_scale_shape(t.shape)});
    }
    hf::ShardPlan plan = hf::plan_shards(tensors, 256 << 20);
    std::vector<hf::FilePlan> files;
    for (std::size_t i = 0; i < plan.shards.size(); ++i) {
      hf::sort_for_file(plan.shards[i]);
      files.push_back({plan.file_name(i), plan.shards[i]});
    }
    hf::FolderWriter(input(), {2, false, "", {}})
        .write(files, [](const auto& t, std::int64_t, std::int64_t rows, auto* out) {
          const std::int64_t n = rows * (t.shape.size() < 2 ? 1 : t.shape[1]);
          const float scale = 4e-4f;
          for (std::int64_t i = 0; i < n; ++i)
            if (t.dtype == Dtype::f32)
              std::memcpy(out + 4 * i, &scale, 4);
            else
              out[i * static_cast<std::int64_t>(size_of(t.dtype))] = std::byte(0x20 + (i * 7 + i / 13) % 89);
        });
    for (const auto& f : files) fs::remove(hf::note_path(input(), f.name));
    if (files.size() > 1) io::write_file(input() / "model.safetensors.index.json", plan.index());
  }
  ~MadeFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  MadeFolder(const MadeFolder&) = delete;
  MadeFolder& operator=(const MadeFolder&) = delete;
  fs::path input() const { return path_ / "fp8"; }
  fs::path output() const { return path_ / "bf16"; }
  fs::path plain() const { return path_ / "plain"; }

 private:
  fs::path path_;
};

std::vector<fs::path> files_of(const fs::path& dir) {
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(dir))
    if (entry.path().extension() == ".safetensors") out.push_back(entry.path());
  std::sort(out.begin(), out.end());
  return out;
}

void forget_cached(const fs::path& dir) {
  for (const fs::path& path : files_of(dir)) {
    const io::Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    ::fsync(file.get());
    ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
  }
}

/// Reads every input file and writes as many bytes as the outputs have, each synced: what dd would do.
void plainly(const fs::path& input, const fs::path& output, const fs::path& plain) {
  std::vector<char> buffer(16 << 20);
  for (const fs::path& path : files_of(input)) {
    const io::Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    while (::read(file.get(), buffer.data(), buffer.size()) > 0) {
    }
  }
  fs::create_directory(plain);
  for (const fs::path& path : files_of(output)) {
    const io::Descriptor file(
        ::open((plain / path.filename()).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    for (std::uint64_t left = fs::file_size(path); left > 0;) {
      const ssize_t n = ::write(file.get(), buffer.data(), std::min<std::uint64_t>(left, buffer.size()));
      if (n <= 0) fail_run("cannot write below {}: {}", plain.string(), std::strerror(errno));
      left -= static_cast<std::uint64_t>(n);
    }
    if (::fsync(file.get()) != 0) fail_run("cannot write below {}: {}", plain.string(), std::strerror(errno));
  }
}

/// Runs eddy-convert cast, which stands beside this program; its peak resident memory in bytes.
std::uint64_t cast(const fs::path& input, const fs::path& output, int threads) {
  const std::string program = fs::read_symlink("/proc/self/exe").parent_path() / "eddy-convert";
  const std::vector<std::string> arguments{program, "cast",    "--in", input,       "--out",
                                           output,  "--dtype", "bf16", "--threads", std::to_string(threads)};
  std::vector<char*> argv;
  for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::execv(program.c_str(), argv.data());
    ::_exit(127);
  }
  int status = 0;
  struct rusage used {};
  if (child < 0 || ::wait4(child, &status, 0, &used) != child || status != 0) fail_run("{} did not end well", program);
  return static_cast<std::uint64_t>(used.ru_maxrss) * 1024;
}

Json folder_to_folder(const std::string& dir, std::uint64_t bytes, int threads, int passes) {
  const MadeFolder made(dir, bytes);
  double cast_s = 1e300, plain_s = 1e300;
  std::uint64_t peak = 0, in = 0, out = 0;
  for (int i = 0; i < passes; ++i) {
    std::error_code ignored;
    fs::remove_all(made.output(), ignored);
    fs::remove_all(made.plain(), ignored);
    forget_cached(made.input());
    cast_s = std::min(cast_s, seconds([&] { peak = std::max(peak, cast(made.input(), made.output(), threads)); }));
    forget_cached(made.input());
    forget_cached(made.output());
    plain_s = std::min(plain_s, seconds([&] { plainly(made.input(), made.output(), made.plain()); }));
  }
  for (const auto& f : files_of(made.input())) in += fs::file_size(f);
  for (const auto& f : files_of(made.output())) out += fs::file_size(f);
  return {{"input_bytes", in},           {"output_bytes", out},
          {"threads", threads},          {"cast_s", cast_s},
          {"read_and_write_s", plain_s}, {"cast_over_plain", plain_s / cast_s},
          {"peak_bytes", peak},          {"gb_per_s", static_cast<double>(in + out) / cast_s / 1e9}};
}

}  // namespace

int bench_convert(const std::vector<std::string>& arguments) {
  std::string dir, size = "1GiB";
  int threads = 2, passes = 3;
  bool json = false;
  Options options("eddy-bench convert", "[--dir DIR] [--json]",
                  "Casting between FP8 and BF16: one thread in memory beside memcpy, and folder to folder (every "
                  "tensor read back) beside "
                  "reading the input plus writing the output plainly.");
  options.add("dir", &dir, "where the folders are made; default: the system's temporary one");
  options.add("size", &size, "of the FP8 folder");
  options.add("threads", &threads, "of eddy-convert", {.min = 1, .max = 4096});
  options.add("passes", &passes, "each way; the best counts", {.min = 1});
  options.add("json", &json, "print one JSON object", {.command_line_only = true});
  if (!options.parse(arguments)) return 0;
  Json result = in_memory(5 * passes);
  result["folder"] = folder_to_folder(dir, parse_bytes(size, "--size"), threads, passes);
  if (json) {
    std::printf("%s\n", result.dump().c_str());
    return 0;
  }
  const Json& f = result["folder"];
  for (const auto& [name, what] : {std::pair{"fp8_to_bf16", "FP8 to BF16 (goal: 4)"},
                                   {"bf16_to_fp8", "BF16 to FP8"},
                                   {"bf16_to_fp8_kept_scales", "BF16 to FP8, kept scales"},
                                   {"memcpy", "memcpy of the BF16"}}) {
    const auto number = [&](const char* kind) { return result[std::string(name) + kind].get<double>(); };
    std::printf(
        "in memory, one thread: %-24s %6.2f GB/s of BF16 in a core's time, %.0f%% of memcpy; %.2f by the clock\n", what,
        number("_gb_per_s"), 100 * number("_over_memcpy"), number("_wall_gb_per_s"));
  }
  std::printf(
      "folder of %s to %s, %d threads: %.1f s, %.2f GB/s; reading and writing plainly %.1f s: %.0f%% of it (goal: "
      "80%%); "
      "peak memory %s\n",
      bytes_text(f["input_bytes"].get<double>()).c_str(), bytes_text(f["output_bytes"].get<double>()).c_str(), threads,
      f["cast_s"].get<double>(), f["gb_per_s"].get<double>(), f["read_and_write_s"].get<double>(),
      100 * f["cast_over_plain"].get<double>(), bytes_text(f["peak_bytes"].get<double>()).c_str());
  return 0;
}

}  // namespace eddy
