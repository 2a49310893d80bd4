#include "bench_slice.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/options.h"
#include "base/rng.h"
#include "base/units.h"
#include "comm/session.h"
#include "device/lane.h"
#include "device/span.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/gemm/gemm.h"
#include "model/parameters.h"
#include "pipeline/schedule.h"
#include "train/device.h"
#include "train/engine.h"

namespace eddy {
namespace {

using Clock = std::chrono::steady_clock;
using device::Stream;
using tensor::Tensor;
using tensor::View;

struct SliceOptions {
  int dense = 1, moe = 3, experts = 16, micro_batches = 1, steps = 8, vocab = 16160;
  std::int64_t seq_len = 4096;
  double expert_capacity = model::StageOptions().expert_capacity;
  parallel::Layout layout;
};

/// DeepSeek-V3's layers (arXiv 2412.19437, §4.2), few of them, with few experts.
hf::ModelConfig slice_model(const SliceOptions& o) {
  hf::ModelConfig c;
  c.vocab_size = o.vocab;
  c.hidden_size = 7168;
  c.intermediate_size = 18432;
  c.moe_intermediate_size = 2048;
  c.num_layers = o.dense + o.moe;
  c.num_heads = 128;
  c.n_shared_experts = 1;
  c.n_routed_experts = o.experts;
  c.top_k = 8;
  c.n_group = 8;
  c.topk_group = 4;
  c.routed_scaling_factor = 2.5;
  c.first_k_dense_replace = o.dense;
  c.q_lora_rank = 1536;
  c.kv_lora_rank = 512;
  c.qk_nope_head_dim = 128;
  c.qk_rope_head_dim = 64;
  c.v_head_dim = 128;
  c.max_position_embeddings = static_cast<int>(o.seq_len);
  return c;
}

/// 6 × active matrix parameters + 3 × causal attention forward FLOPs a token (embedding and routers left out).
double model_flops_per_token(const hf::ModelConfig& c, std::int64_t seq_len) {
  const double routers = 2.0 * c.hidden_size * c.n_routed_experts * (c.num_layers - c.first_k_dense_replace);
  return 3 * (model::forward_flops_per_token(c, false, seq_len) - routers);
}

/// The best part of one GPU's rate that the schedule allows, each stage as fast as its FLOPs say.
double schedule_bound(const hf::ModelConfig& c, const model::StagePlan& plan, std::int64_t seq_len,
                      const pipeline::Schedule& schedule) {
  std::vector<pipeline::Durations> stages;
  for (const double flops : model::stage_flops_per_token(c, plan, seq_len)) stages.push_back({flops, flops, flops});
  return 1 - pipeline::simulate(schedule, stages).bubble;
}

/// Random weights, made where they are used: a table of normal numbers, over and over.
void fill_at_random(const Stream& stream, train::Engine& engine) {
  constexpr std::int64_t kTable = (std::int64_t{1} << 24) - 48;
  Tensor host({kTable});
  for (std::int64_t i = 0; i < kTable / 2; ++i)
    for (int j = 0; j < 2; ++j)
      host.f32()[2 * i + j] =
          static_cast<float>(0.02 * normal2(philox(1, static_cast<std::uint64_t>(i)))[static_cast<std::size_t>(j)]);
  Tensor table({kTable}, engine.store().dtype(), stream);
  tensor::put(stream, host, table);
  for (const auto& p : engine.store().all()) {
    if (!p.info.trainable) continue;
    if (p.info.extent.size() == 1) {
      kernels::fill(stream, p.value, 1);
      continue;
    }
    const View flat = p.value.reshape({p.value.numel()});
    for (std::int64_t at = 0; at < flat.numel(); at += kTable) {
      const std::int64_t n = std::min(kTable, flat.numel() - at);
      kernels::copy(stream, table.view().row_range(0, n), flat.row_range(at, at + n));
    }
  }
  engine.optimizer().masters_from_values();
}

/// Seconds of each of `runs` calls with the stream idle before and after, ascending.
template <class F>
std::vector<double> times(const Stream& stream, int runs, F f) {
  std::vector<double> out;
  for (int i = 0; i < runs; ++i) {
    stream.synchronize();
    const auto start = Clock::now();
    f();
    stream.synchronize();
    out.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  std::sort(out.begin(), out.end());
  return out;
}

/// What the device does at its best, measured in the same run.
struct Ceilings {
  double copy_bytes = 0, gemm_flops = 0;  ///< a second
};
Ceilings measure_ceilings(const Stream& stream, Dtype dtype) {
  const std::int64_t n = stream.on_gpu() ? 8192 : 1024;
  Ceilings c;
  {
    const Tensor from = Tensor::zeros({n * n * 4}, Dtype::f32, stream), to({n * n * 4}, Dtype::f32, stream);
    const auto copy = [&] { kernels::copy(stream, from, to); };
    copy();
    c.copy_bytes = 2.0 * static_cast<double>(from.bytes()) / times(stream, 10, copy).front();
  }
  Tensor host({n, n});
  for (std::int64_t i = 0; i < n * n; ++i) host.f32()[i] = static_cast<float>((i * 7919 + i / 8191) % 255 - 127) / 64.f;
  Tensor a({n, n}, dtype, stream), b({n, n}, dtype, stream), out({n, n}, dtype, stream);
  tensor::put(stream, host, a);
  tensor::put(stream, host, b);
  const auto product = [&] { kernels::linear(stream, a, b, out); };
  product();
  product();
  c.gemm_flops = 2.0 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n) /
                 times(stream, 10, product).front();
  return c;
}

/// Each operation of one pass, with the part of its ceiling that it reaches; then those that ran beside them, which are
/// no part of the sum (what was waited for them is).
void print_breakdown(const std::vector<device::SpanTime>& spans, const std::vector<device::SpanTime>& beside,
                     const Ceilings& best, double whole) {
  fmt::print("{:<34} {:>6} {:>9} {:>6} {:>10} {:>10} {:>8}\n", "operation", "times", "ms", "share", "GB/s", "TFLOP/s",
             "ceiling");
  double sum = 0;
  for (const auto& s : spans) {
    sum += s.seconds;
    const double bytes = s.cost.bytes / s.seconds, flops = s.cost.flops / s.seconds;
    const double part = std::max(bytes / best.copy_bytes, flops / best.gemm_flops);
    fmt::print("{:<34} {:>6} {:>9.3f} {:>5.1f}% {:>10.0f} {:>10.1f} {:>8}\n", s.name, s.count, s.seconds * 1e3,
               100 * s.seconds / whole, bytes * 1e-9, flops * 1e-12,
               part > 0 ? fmt::format("{:.0f}%", 100 * part) : "");
  }
  fmt::print("{:<34} {:>6} {:>9.3f} {:>5.1f}%  (between the operations, and those without a span)\n", "rest", "",
             (whole - sum) * 1e3, 100 * (whole - sum) / whole);
  for (const auto& s : beside)
    fmt::print("{:<34} {:>6} {:>9.3f} {:>6}  (beside the above, waits for other ranks included)\n", s.name, s.count,
               s.seconds * 1e3, "");
}

}  // namespace

int bench_slice(const std::vector<std::string>& arguments) {
  SliceOptions o;
  std::string device = "auto", dtype = "auto", backend = "auto", moments = "float32", recompute = "none";
  bool json = false, breakdown = true, deterministic = false;
  Options options(
      "eddy-bench slice", "[options]",
      "Forward and backward, and whole steps, of layers of DeepSeek-V3's dimensions; under mpirun in any "
      "layout. FLOPs: 6 a token and active matrix parameter, and attention's; recomputation does not count.");
  options.add("run.device", &device, "where to run", {.choices = {"auto", "cpu", "cuda"}});
  options.add("run.deterministic", &deterministic, "the same bits each time");
  options.add("train.dtype", &dtype, "auto (bf16 on a GPU), bf16, float32", {.choices = {"auto", "bf16", "float32"}});
  options.add("train.recompute", &recompute, "none, selective, full", {.choices = {"none", "selective", "full"}});
  options.add("train.seq_len", &o.seq_len, "tokens of the one document in each micro-batch", {.min = 2});
  options.add("optim.moments", &moments, "AdamW's moments", {.choices = {"float32", "bf16"}});
  options.add("comm.backend", &backend, "auto, nccl, mpi", {.choices = {"auto", "nccl", "mpi"}});
  options.add("parallel.tp", &o.layout.tp, "tensor parallelism", {.min = 1});
  options.add("parallel.ep", &o.layout.ep, "expert parallelism", {.min = 1});
  options.add("parallel.pp", &o.layout.pp, "pipeline stages", {.min = 1});
  options.add("parallel.expert_capacity", &o.expert_capacity,
              "rows that a rank's experts take at once, over those of balanced routing", {.min = 0.01});
  options.add("micro-batches", &o.micro_batches, "of each replica a step", {.min = 1});
  options.add("dense", &o.dense, "dense layers", {.min = 0});
  options.add("moe", &o.moe, "MoE layers", {.min = 0});
  options.add("experts", &o.experts, "routed experts", {.min = 8});
  options.add("vocab", &o.vocab, "rows of embedding and head", {.min = 16});
  options.add("steps", &o.steps, "steps that are timed, after two that are not", {.min = 1});
  options.add("breakdown", &breakdown, "print each operation's time");
  options.add("json", &json, "print JSON", {.command_line_only = true});
  if (!options.parse(arguments)) return 0;

  comm::Session session;
  session.set_timeout(300);
  session.set_threads(0);
  o.layout.world = session.size();
  train::Device place = train::choose_device(session, device);
  train::EngineOptions engine_options;
  engine_options.seq_len = o.seq_len;
  engine_options.stage.dtype = train::choose_dtype(place, dtype);
  engine_options.stage.recompute = model::parse_recompute(recompute);
  engine_options.stage.deterministic = deterministic;
  engine_options.stage.expert_capacity = o.expert_capacity;
  engine_options.adamw.moments = moments == "bf16" ? Dtype::bf16 : Dtype::f32;
  engine_options.backend = comm::parse_backend(backend);
  train::open(place);
  const hf::ModelConfig config = slice_model(o);
  const Stream& stream = place.stream;
  const Ceilings best = measure_ceilings(stream, engine_options.stage.dtype);
  train::Engine engine(session.world(), config, o.layout, engine_options, stream);
  fill_at_random(stream, engine);
  const std::size_t state = stream.arena() ? stream.arena()->in_use() : engine.store().value_bytes();

  std::vector<std::int32_t> ids;
  const int replica = engine.groups().at.dp;
  for (std::int64_t i = 0; i < o.seq_len; ++i)
    ids.push_back(static_cast<std::int32_t>((i * i * 31 + i * 7 + 13 * replica) % config.vocab_size));
  const std::vector<std::int32_t> lengths{static_cast<std::int32_t>(o.seq_len)};
  const std::vector<std::uint8_t> loss(ids.size(), 1);
  const model::Row row{ids, lengths, loss};
  std::vector<model::MicroBatch> batches;
  for (int i = 0; i < o.micro_batches; ++i)
    batches.push_back(
        model::make_micro_batch(std::span(&row, 1), config.vocab_size, config.max_position_embeddings, o.layout.tp));
  const auto pass = [&] { engine.forward_backward(batches); };
  int waves = 0;  // of this rank's layers, the most
  const auto step = [&] { waves = std::max(waves, engine.step(batches, 1e-5).load.waves); };
  step();
  step();
  const auto median = [&](auto f) {
    session.world().barrier();
    return times(stream, o.steps, f)[static_cast<std::size_t>(o.steps) / 2];
  };
  const double pass_s = median(pass), step_s = median(step);
  const std::size_t peak = engine.peak_bytes();
  const double tokens = static_cast<double>(o.seq_len) * o.micro_batches * o.layout.dp() / o.layout.world;
  const double flops = model_flops_per_token(config, o.seq_len) * tokens;
  std::vector<device::SpanTime> spans, beside;
  double spanned_s = 0;
  if (breakdown && stream.on_gpu()) {
    const device::Stream lanes[] = {device::lane(stream, device::Lane::state),
                                    device::lane(stream, device::Lane::rows)};
    device::start_profile(stream);
    for (const auto& lane : lanes) device::start_profile(lane);
    spanned_s = times(stream, 1, step).front();
    spans = device::stop_profile(stream);
    for (const auto& lane : lanes)
      for (auto& span : device::stop_profile(lane)) beside.push_back(std::move(span));
  }
  if (session.rank() != 0) return 0;
  const std::string name = place.on_gpu() ? place.name : "CPU";
  if (json) {
    fmt::print("{}\n", nlohmann::ordered_json{{"device", name},
                                              {"layout", o.layout.text()},
                                              {"dtype", name_of(engine_options.stage.dtype)},
                                              {"micro_batches", o.micro_batches},
                                              {"pass_s", pass_s},
                                              {"step_s", step_s},
                                              {"pass_tflops", flops / pass_s * 1e-12},
                                              {"step_tflops", flops / step_s * 1e-12},
                                              {"tokens_per_s_per_rank", tokens / step_s},
                                              {"peak_bytes", peak},
                                              {"state_bytes", state},
                                              {"expert_waves", waves},
                                              {"copy_bytes_per_s", best.copy_bytes},
                                              {"gemm_flops", best.gemm_flops}}
                           .dump());
    return 0;
  }
  fmt::print("{}, {}, {}, {} micro-batch{} of {} tokens, {}+{} layers, {} experts\n", name, o.layout.text(),
             name_of(engine_options.stage.dtype), o.micro_batches, o.micro_batches == 1 ? "" : "es", o.seq_len, o.dense,
             o.moe, o.experts);
  fmt::print(
      "forward + backward {:.1f} ms, {:.0f} TFLOP/s a rank; whole step {:.1f} ms, {:.0f} TFLOP/s, {:.0f} tokens/s "
      "a rank (medians of {})\n",
      pass_s * 1e3, flops / pass_s * 1e-12, step_s * 1e3, flops / step_s * 1e-12, tokens / step_s, o.steps);
  if (o.layout.pp > 1) {
    const pipeline::Schedule schedule = pipeline::one_f_one_b(o.layout.pp, o.micro_batches);
    fmt::print("{}the bound of this schedule, by the FLOPs of each stage: {:.3f} of one GPU's rate\n",
               pipeline::text(schedule), schedule_bound(config, engine.plan(), o.seq_len, schedule));
  }
  fmt::print("memory: {} of weights, gradients and optimizer; {} at the most\n", bytes_text(static_cast<double>(state)),
             bytes_text(static_cast<double>(peak)));
  if (waves > 1) fmt::print("experts' rows came in up to {} waves (parallel.expert_capacity)\n", waves);
  fmt::print("ceilings: copy {:.0f} GB/s, product of 8192 cubed {:.0f} TFLOP/s\n", best.copy_bytes * 1e-9,
             best.gemm_flops * 1e-12);
  if (!spans.empty()) print_breakdown(spans, beside, best, spanned_s);
  return 0;
}

}  // namespace eddy
