#include "train/loop.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/process.h"
#include "base/units.h"
#include "checkpoint/checkpoint.h"
#include "model/parameters.h"
#include "train/agree.h"

namespace eddy::train {
namespace {

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Loop::Loop(const LoopParts& parts, const Progress& progress)
    : p_(parts),
      progress_(progress),
      schedule_(parts.config.optim.make_schedule(parts.total_steps)),
      fault_(parts.config.fault, parts.engine.groups().world->rank()),
      flops_per_token_(
          3 * model::forward_flops_per_token(parts.choice.config, parts.choice.mtp, parts.config.train.seq_len)),
      first_step_(progress.step),
      saved_step_(progress.step),
      bar_("training", static_cast<std::uint64_t>(parts.total_steps - progress.step), "steps") {
  if (p_.engine.groups().world->rank() == 0) metrics_.emplace(p_.dir.metrics());
}

Loop::Agreed Loop::agree(const Engine::Result& result, double data_wait_s) {
  const bool experts = result.load.max > 0;
  double most[7] = {p_.stop.asked() ? 1.0 : 0.0,
                    data_wait_s,
                    static_cast<double>(p_.engine.peak_bytes()),
                    static_cast<double>(resident_bytes()),
                    experts ? result.load.max : 0,
                    experts ? -result.load.min : -1e300,
                    static_cast<double>(result.load.waves)};
  p_.engine.groups().world->all_reduce(most, 7, Dtype::f64, comm::Reduce::max);
  Agreed agreed{most[0] > 0, most[1], most[2], most[3], {}, {}, {}};
  if (most[4] > 0) {
    agreed.load_max = most[4];
    agreed.load_min = -most[5];
    agreed.waves = static_cast<std::int64_t>(most[6]);
  }
  return agreed;
}

StepMetrics Loop::train_one(bool& stop) {
  const auto& train = p_.config.train;
  const double begin = seconds();
  fault_.at_step(progress_.step + 1);
  const auto batches = p_.batches.next(progress_.step, progress_.step + 1 == p_.total_steps);
  const double waited = seconds() - begin;
  StepMetrics m;
  m.lr = optim::lr_at(schedule_, progress_.step);
  const auto result = p_.engine.step(batches, m.lr);
  const Agreed agreed = agree(result, waited);
  m.step_time_s = seconds() - begin;

  const std::int64_t tokens = train.global_batch * train.seq_len;
  progress_.step += 1;
  progress_.tokens += tokens;
  progress_.skipped += result.skipped ? 1 : 0;
  bad_in_a_row_ = result.skipped ? bad_in_a_row_ + 1 : 0;
  stop = agreed.stop;
  m.step = progress_.step;
  m.tokens = progress_.tokens;
  m.skipped_steps = progress_.skipped;
  m.loss = result.loss;
  if (p_.choice.mtp) m.mtp_loss = result.mtp_loss;
  m.grad_norm = result.grad_norm;
  m.data_wait_s = agreed.data_wait_s;
  m.tokens_per_s = static_cast<double>(tokens) / m.step_time_s;
  m.tflops_per_rank = m.tokens_per_s * flops_per_token_ / p_.engine.groups().layout.world / 1e12;
  m.mem_peak_bytes = static_cast<std::uint64_t>(agreed.peak_bytes);
  m.host_rss_bytes = static_cast<std::uint64_t>(agreed.rss_bytes);
  m.expert_load_max = agreed.load_max;
  m.expert_load_min = agreed.load_min;
  m.expert_waves = agreed.waves;
  if (result.skipped)
    log::warning("step {} is skipped: loss {}, norm of the gradient {} ({} in a row, {} so far)", m.step, m.loss,
                 m.grad_norm, bad_in_a_row_, m.skipped_steps);
  return m;
}

bool Loop::validate(StepMetrics& metrics) {
  const auto result = p_.validation->run(p_.engine, [this] { return p_.stop.asked(); });
  if (result.loss) {
    metrics.val_loss = *result.loss;
    metrics.val_ppl = std::exp(*result.loss);
    log::info("step {}: validation loss {:.4f}, perplexity {:.2f}", metrics.step, *result.loss, *metrics.val_ppl);
  }
  return result.stopped;
}

void Loop::save() {
  if (saved_step_ == progress_.step) return;
  const auto folder = p_.dir.checkpoint(progress_.step);
  auto& optimizer = p_.engine.optimizer();
  auto& world = *p_.engine.groups().world;
  const double begin = seconds();
  std::vector<tensor::Slice> owned = optimizer.owned();
  checkpoint::SaveOptions options{.fill = {}, .attachments = p_.attachments, .progress = {}};
  std::vector<const void*> on_gpu;  // where each block lies; it comes to the host when it is written
  if (const auto& stream = p_.engine.stream(); stream.on_gpu()) {
    for (auto& slice : owned) on_gpu.push_back(std::exchange(slice.view.data, nullptr));
    options.fill = [&](std::size_t i, void* host) {
      device::copy_to_host(stream, on_gpu[i], host, owned[i].view.bytes());
    };
  }
  p_.session.set_timeout(p_.config.comm.while_files());
  checkpoint::save(world, folder,
                   describe(p_.choice, p_.config, progress_, optimizer.updates(), p_.tokenizer_hash, p_.bits), owned,
                   options);
  on_rank_0(world, [&] { checkpoint::prune(p_.dir.checkpoints(), p_.config.checkpoint.keep); });
  p_.session.set_timeout(p_.config.comm.timeout_s);
  saved_step_ = progress_.step;
  log::info("step {}: checkpoint {} in {}", progress_.step, folder.string(), duration(seconds() - begin));
}

void Loop::show(const StepMetrics& m) {
  std::string line = fmt::format("step {}, loss {:.4f}", m.step, m.loss);
  if (m.mtp_loss) line += fmt::format(", MTP {:.4f}", *m.mtp_loss);
  if (m.val_ppl) line += fmt::format(", validation perplexity {:.2f}", *m.val_ppl);
  line +=
      fmt::format(", lr {:.3g}, {:.0f} tokens/s, {:.4g} GFLOP/s a rank", m.lr, m.tokens_per_s, 1e3 * m.tflops_per_rank);
  bar_.update(static_cast<std::uint64_t>(m.step - first_step_), line);
}

Exit Loop::run() {
  const auto& config = p_.config;
  p_.session.set_timeout(config.comm.timeout_s);
  while (progress_.step < p_.total_steps) {
    bool stop = false;
    StepMetrics metrics = train_one(stop);
    const bool last = metrics.step == p_.total_steps;
    const auto due = [&](std::int64_t every) { return last || (every > 0 && metrics.step % every == 0); };
    if (p_.validation && !stop && due(config.train.validate_every)) stop = validate(metrics);
    if (metrics_) metrics_->write(metrics);
    show(metrics);
    const bool hopeless = bad_in_a_row_ > config.train.max_bad_steps;
    if (stop || hopeless || due(config.checkpoint.every)) save();
    if (hopeless)
      fail_run(
          "{} steps in a row had a loss or gradient that is not finite (train.max_bad_steps = {}): stopped at step {}. "
          "The "
          "parameters are those before these steps, saved in {}; a lower optim.lr or a look at the data may help",
          bad_in_a_row_, config.train.max_bad_steps, metrics.step, p_.dir.checkpoint(metrics.step).string());
    if (stop && !last) {
      p_.engine.groups().world->barrier();
      log::info("stopped at step {} as asked{}; run it again to go on", metrics.step,
                p_.stop.asked() ? fmt::format(" ({})", p_.stop.reason()) : "");
      return Exit::stopped;
    }
  }
  return Exit::done;
}

}  // namespace eddy::train
