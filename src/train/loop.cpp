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
      saver_(*parts.engine.groups().world, parts.engine.stream()),
      saving_step_(progress.step),
      saved_step_(progress.step),
      bar_("training", static_cast<std::uint64_t>(parts.total_steps - progress.step), "steps") {
  if (p_.engine.groups().world->rank() == 0) metrics_.emplace(p_.dir.metrics());
}

Loop::Agreed Loop::agree(const Engine::Result& result, double data_wait_s) {
  const bool experts = result.load.max > 0;
  const auto saving = saver_.local();
  double most[9] = {p_.stop.asked() ? 1.0 : 0.0,
                    data_wait_s,
                    static_cast<double>(p_.engine.peak_bytes()),
                    static_cast<double>(resident_bytes()),
                    experts ? result.load.max : 0,
                    experts ? -result.load.min : -1e300,
                    static_cast<double>(result.load.waves),
                    saving.busy ? 1.0 : 0.0,
                    saving.failed ? 1.0 : 0.0};
  p_.engine.groups().world->all_reduce(most, 9, Dtype::f64, comm::Reduce::max);
  Agreed agreed{most[0] > 0, {most[7] > 0, most[8] > 0}, most[1], most[2], most[3], {}, {}, {}};
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
  double held = 0;  // by a checkpoint whose copy is not made yet
  const auto result = p_.engine.step(batches, m.lr, [&] {
    const double reached = seconds();
    saver_.wait_for_copy();
    held = seconds() - reached;
  });
  if (saver_.active()) stall_s_ += held;
  const Agreed agreed = agree(result, waited);
  m.step_time_s = seconds() - begin - held;
  continue_save(agreed.saving);

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

void Loop::begin_save(bool last) {
  if (saved_step_ == progress_.step) return;
  finish_save(last);
  const double begin = seconds();
  const auto& c = p_.config.checkpoint;
  auto& optimizer = p_.engine.optimizer();
  checkpoint::Saver::Job job;
  job.dir = p_.dir.checkpoint(progress_.step);
  job.meta = describe(p_.choice, p_.config, progress_, optimizer.updates(), p_.tokenizer_hash, p_.data_hash, p_.bits);
  job.owned = optimizer.owned();
  job.options.attachments = p_.attachments;
  job.options.ranks_per_file = c.ranks_per_file;
  job.options.threads = c.threads;
  job.options.direct = c.direct;
  job.options.stripes = c.stripes();
  job.options.staging = c.staging;
  job.options.files = fault_.files();
  // the last one is waited for: it needs no copy, but where a GPU's memory is the only place to write it from
  job.copy = (c.async && !last) || (p_.engine.stream().on_gpu() && c.staging.empty());
  job.committing = [this] { fault_.at_committing(); };
  job.committed = [this, &c, path = job.dir] {
    fault_.at_deleting();
    try {
      checkpoint::prune(p_.dir.checkpoints(), {c.keep, static_cast<std::uint64_t>(c.keep_every), path}, fault_.files());
    } catch (const std::exception& e) {
      fail_run("older ones could not be deleted: {}. The next save tries again", e.what());
    }
  };
  fault_.at_saving(progress_.step);
  p_.session.set_timeout(p_.config.comm.while_files());
  saving_step_ = progress_.step;
  try {
    saver_.begin(std::move(job));
  } catch (const Error& e) {
    if (last) throw;
    save_failed(e);
  }
  p_.session.set_timeout(p_.config.comm.timeout_s);
  stall_s_ += seconds() - begin;
}

void Loop::continue_save(const checkpoint::Saver::Local& any) {
  if (!saver_.active() || any.busy) return;
  const double begin = seconds();
  try {
    if (saver_.advance(false, any.failed)) saved();
  } catch (const Error& e) {
    save_failed(e);
  }
  stall_s_ += seconds() - begin;
}

void Loop::finish_save(bool last) {
  if (!saver_.active()) return;
  const double begin = seconds();
  p_.session.set_timeout(p_.config.comm.while_files());
  try {
    saver_.wait();
    saved();
  } catch (const Error& e) {
    if (last && saving_step_ == progress_.step) throw;
    save_failed(e, last);  // the last one is still to come
  }
  p_.session.set_timeout(p_.config.comm.timeout_s);
  const double waited = seconds() - begin;
  stall_s_ += waited;
  if (saving_step_ != progress_.step)
    log::info("step {}: waited {} for the checkpoint of step {} to be written", progress_.step, duration(waited),
              saving_step_);
}

void Loop::saved() {
  auto& world = *p_.engine.groups().world;
  double slowest[2] = {saver_.write_seconds(), saver_.stage_seconds()};
  auto bytes = static_cast<std::int64_t>(saver_.bytes());
  world.all_reduce(slowest, 2, Dtype::f64, comm::Reduce::max);
  world.all_reduce(&bytes, 1, Dtype::i64, comm::Reduce::sum);
  saved_step_ = saving_step_;
  failed_saves_ = 0;
  saved_.ckpt_write_s = slowest[0];
  if (slowest[1] > 0) saved_.ckpt_stage_s = slowest[1];
  saved_.ckpt_bytes = static_cast<std::uint64_t>(bytes);
  log::info(
      "checkpoint {}: {} written in {}{}", p_.dir.checkpoint(saved_step_).string(),
      bytes_text(static_cast<double>(bytes)), duration(slowest[0]),
      slowest[1] > 0 ? fmt::format(", after {} into {}", duration(slowest[1]), p_.config.checkpoint.staging) : "");
  fault_.at_saved(p_.dir.checkpoint(saved_step_));
}

/// The run goes on, once: the next save may find room.
void Loop::save_failed(const Error& e, bool bear) {
  saved_.ckpt_failed = ++failed_saves_;
  if (failed_saves_ > 1 && !bear) throw e;
  if (p_.engine.groups().world->rank() != 0) return;  // all ranks know the same
  log::error("the checkpoint of step {} failed: {}. The run goes on, and ends if the next one fails as well",
             saving_step_, e.what());
}

void Loop::write(StepMetrics& m) {
  if (saved_.ckpt_write_s || saved_.ckpt_failed || stall_s_ > 0) m.ckpt_stall_s = std::exchange(stall_s_, 0);
  m.ckpt_write_s = saved_.ckpt_write_s;
  m.ckpt_stage_s = saved_.ckpt_stage_s;
  m.ckpt_bytes = saved_.ckpt_bytes;
  m.ckpt_failed = saved_.ckpt_failed;
  saved_ = {};
  if (metrics_) metrics_->write(m);
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
    const bool hopeless = bad_in_a_row_ > config.train.max_bad_steps, final = last || stop || hopeless,
               save = final || due(config.checkpoint.every);
    // A step's line is written before its checkpoint can stand: who resumes from it finds the line.
    if (save) begin_save(final);
    write(metrics);
    show(metrics);
    if (save && (final || !config.checkpoint.async)) finish_save(final);
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
