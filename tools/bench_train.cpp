#include "bench_train.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/options.h"
#include "comm/session.h"
#include "kernels/gemm/gemm.h"
#include "model/init.h"
#include "train/engine.h"

namespace eddy {
namespace {

using Clock = std::chrono::steady_clock;

/// Seconds of each of `runs` calls, ascending.
template <class F>
std::vector<double> times(int runs, F f) {
  std::vector<double> out;
  for (int i = 0; i < runs; ++i) {
    const auto start = Clock::now();
    f();
    out.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  std::sort(out.begin(), out.end());
  return out;
}

/// FLOP/s of C [m, n] = A [m, k] · B [n, k]^T, the fastest of ten.
double sgemm_rate(std::int64_t m, std::int64_t n, std::int64_t k) {
  tensor::Tensor a({m, k}), b({n, k}), c({m, n});
  for (const auto* t : {&a, &b})
    for (std::int64_t i = 0; i < t->view().numel(); ++i) t->f32()[i] = static_cast<float>(i % 17) - 8;
  const auto product = [&] { kernels::linear({}, a, b, c); };
  product();
  return 2.0 * static_cast<double>(m * n * k) / times(10, product).front();
}

/// 1 dense and 3 MoE layers of hidden size 512 with 8 experts: DeepSeek-V3's proportions, small.
hf::ModelConfig bench_model() {
  hf::ModelConfig c;
  c.vocab_size = 4096;
  c.hidden_size = 512;
  c.intermediate_size = 1408;
  c.moe_intermediate_size = 256;
  c.num_layers = 4;
  c.num_heads = 8;
  c.n_shared_experts = 1;
  c.n_routed_experts = 8;
  c.top_k = 4;
  c.first_k_dense_replace = 1;
  c.q_lora_rank = 192;
  c.kv_lora_rank = 128;
  c.qk_nope_head_dim = 64;
  c.qk_rope_head_dim = 32;
  c.v_head_dim = 64;
  c.max_position_embeddings = 4096;
  return c;
}

}  // namespace

int bench_train(const std::vector<std::string>& arguments) {
  std::string device = "auto";
  bool json = false;
  int threads = 2, steps = 10;
  std::int64_t tokens = 1024;
  Options options("eddy-bench train", "[options]",
                  "The FLOP rate of whole training steps on one rank, beside sgemm's in the same run.");
  options.add("run.device", &device, "where to run; this build has the CPU only", {.choices = {"auto", "cpu"}});
  options.add("run.threads", &threads, "threads", {.min = 1});
  options.add("steps", &steps, "steps that are timed, after two that are not", {.min = 1});
  options.add("tokens", &tokens, "tokens a step, in one document", {.min = 2, .max = 4096});
  options.add("json", &json, "print JSON", {.command_line_only = true});
  if (!options.parse(arguments)) return 0;

  comm::Session session;
  if (session.size() != 1) fail_input("eddy-bench train runs on one rank, not {}", session.size());
  session.set_threads(threads);
  const hf::ModelConfig config = bench_model();
  train::EngineOptions engine_options;
  engine_options.seq_len = tokens;
  train::Engine engine(session.world(), config, {}, engine_options);
  model::initialise(config, engine.store(), 1);
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < tokens; ++i)
    ids.push_back(static_cast<std::int32_t>((i * i * 31 + i * 7) % config.vocab_size));
  const std::vector<std::int32_t> lengths{static_cast<std::int32_t>(tokens)};
  const std::vector<std::uint8_t> loss(ids.size(), 1);
  const model::Row row{ids, lengths, loss};
  const model::MicroBatch batch =
      model::make_micro_batch(std::span(&row, 1), config.vocab_size, config.max_position_embeddings, 1);
  const auto step = [&] { engine.step(std::span(&batch, 1), 1e-4); };

  step();
  step();
  const double before = sgemm_rate(1024, 1024, 1024);
  const double seconds = times(steps, step)[static_cast<std::size_t>(steps) / 2];
  const double after = sgemm_rate(1024, 1024, 1024);  // on both sides of the steps: machines are noisy
  const double peak = std::max(before, after), alike = sgemm_rate(tokens, 512, 512);
  const double rate = 3 * model::forward_flops_per_token(config, false, tokens) * static_cast<double>(tokens) / seconds;
  if (json) {
    fmt::print("{}\n", nlohmann::ordered_json{{"threads", threads},
                                              {"tokens", tokens},
                                              {"step_s", seconds},
                                              {"step_flops", rate},
                                              {"sgemm_1024_flops", peak},
                                              {"sgemm_512_flops", alike},
                                              {"ratio", rate / peak}}
                           .dump());
    return 0;
  }
  fmt::print("whole training step, {} tokens, {} threads: {:.1f} ms (median of {}), {:.1f} GFLOP/s\n", tokens, threads,
             seconds * 1e3, steps, rate * 1e-9);
  fmt::print("sgemm 1024 x 1024 x 1024: {:.1f} GFLOP/s; {} x 512 x 512: {:.1f} GFLOP/s\n", peak * 1e-9, tokens,
             alike * 1e-9);
  fmt::print("the step runs at {:.0f}% of sgemm's rate (1024 cubed)\n", 100 * rate / peak);
  return 0;
}

}  // namespace eddy
