#include "train/engine.h"

#include <cmath>

#include "model/parameters.h"

namespace eddy::train {
namespace {

const parallel::Layout& validated(const parallel::Layout& layout, const hf::ModelConfig& model) {
  parallel::validate(layout, model::divisors(model));
  return layout;
}

/// The micro-batches where the stream runs: those given, or copies in `there`.
std::span<const model::MicroBatch> on_device(const device::Stream& stream, std::span<const model::MicroBatch> batches,
                                             std::vector<model::MicroBatch>& there) {
  if (!stream.on_gpu()) return batches;
  for (const auto& b : batches) there.push_back(model::to_device(stream, b));
  return there;
}

parallel::Groups connected(parallel::Groups groups, const EngineOptions& options, const device::Stream& stream) {
  parallel::attach_transports(groups, options.backend, stream);
  return groups;
}

}  // namespace

EngineOptions engine_options(const Config& config, bool mtp) {
  EngineOptions o;
  o.stage.recompute = model::parse_recompute(config.train.recompute);
  o.stage.mtp = mtp;
  o.stage.balance_loss = config.train.balance_loss;
  o.stage.dtype = config.train.dtype == "bf16" ? Dtype::bf16 : Dtype::f32;
  o.stage.deterministic = config.run.deterministic;
  o.stage.expert_capacity = config.parallel.expert_capacity;
  o.adamw = config.optim.adamw;
  o.adamw.moments = config.optim.moments == "bf16" ? Dtype::bf16 : Dtype::f32;
  o.backend = comm::parse_backend(config.comm.backend);
  o.mtp_weight = config.train.mtp_weight;
  o.router_bias_rate = config.train.router_bias_rate;
  o.seq_len = config.train.seq_len;
  return o;
}

Engine::Engine(comm::Communicator& world, const hf::ModelConfig& model, const parallel::Layout& layout,
               const EngineOptions& options, const device::Stream& stream)
    : model_(model),
      options_(options),
      groups_(connected(parallel::make_groups(world, validated(layout, model)), options, stream)),
      plan_(model::plan_stages(model_, layout.pp, options.stage.mtp, options.seq_len)),
      store_(model::stage_parameters(model_, layout, world.rank(), plan_, options.stage.dtype), true, stream,
             parallel::Replicas(layout, options.bucket_elements)),
      stage_(model_, groups_, plan_, store_, options.stage, stream),
      runner_(stage_, groups_, stream, options.stage.dtype),
      optimizer_(store_, groups_, options.adamw) {
  stage_.on_values = [this](const parallel::Parameter& last) { optimizer_.await_values(last); };
}

Engine::Result Engine::pass(std::span<const model::MicroBatch> batches, const pipeline::Runner::GradientsDone& done) {
  // The denominators of the global batch, before its first backward pass.
  std::int64_t counts[3] = {0, 0, 0};  // labels, labels of multi-token prediction, rows
  if (speaks())
    for (const auto& b : batches) {
      counts[0] += b.label_count;
      counts[1] += b.mtp_label_count;
      counts[2] += static_cast<std::int64_t>(b.row_begin.size()) - 1;
    }
  groups_.world->all_reduce(counts, 3, Dtype::i64, comm::Reduce::sum);
  const auto per = [](std::int64_t n) { return n > 0 ? 1.0 / static_cast<double>(n) : 0.0; };
  const bool mtp = options_.stage.mtp;
  const model::LossScale scale{per(counts[0]), mtp ? options_.mtp_weight * per(counts[1]) : 0, per(counts[2])};

  if (auto* arena = stream().arena()) arena->reset_peak();
  std::vector<model::MicroBatch> there;
  store_.begin_gradients();
  const model::LossSums sums = runner_.train(on_device(stream(), batches, there), scale, done);
  store_.finish_gradients();
  double losses[2] = {speaks() ? sums.main : 0, speaks() ? sums.mtp : 0};
  groups_.world->all_reduce(losses, 2, Dtype::f64, comm::Reduce::sum);

  Result result;
  result.loss = losses[0] * per(counts[0]);
  result.mtp_loss = losses[1] * per(counts[1]);
  result.skipped = counts[0] == 0 || !std::isfinite(result.loss) || !std::isfinite(result.mtp_loss);
  return result;
}

Engine::Result Engine::step(std::span<const model::MicroBatch> batches, double lr,
                            const std::function<void()>& before_update) {
  Result result = pass(batches, [this](const parallel::Parameter& first) { optimizer_.begin_sums(first); });
  if (before_update) before_update();
  const auto update = optimizer_.step(lr, !result.skipped, optim::ShardedAdamw::Values::coming);
  result.grad_norm = update.grad_norm;
  result.skipped = update.skipped;
  result.load = stage_.update_router_bias(update.skipped ? 0 : options_.router_bias_rate);
  return result;
}

model::LossSums Engine::evaluate(std::span<const model::MicroBatch> batches) {
  std::vector<model::MicroBatch> there;
  model::LossSums sums = runner_.evaluate(on_device(stream(), batches, there));
  if (!speaks()) sums = {};
  double losses[2] = {sums.main, sums.mtp};
  std::int64_t counts[2] = {sums.main_count, sums.mtp_count};
  groups_.world->all_reduce(losses, 2, Dtype::f64, comm::Reduce::sum);
  groups_.world->all_reduce(counts, 2, Dtype::i64, comm::Reduce::sum);
  sums.main = losses[0];
  sums.mtp = losses[1];
  sums.main_count = counts[0];
  sums.mtp_count = counts[1];
  return sums;
}

std::size_t Engine::peak_bytes() const {
  if (const auto* arena = store_.stream().arena()) return arena->peak();
  return store_.value_bytes() + store_.grad_bytes() + optimizer_.moment_bytes() + runner_.peak_saved_bytes();
}

}  // namespace eddy::train
