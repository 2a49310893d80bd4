#pragma once
// A model with its optimizer, spread over the ranks: one training step, one validation. No files, no clock.
#include <cstdint>
#include <functional>
#include <span>

#include "comm/backend.h"
#include "model/stage.h"
#include "optim/schedule.h"
#include "optim/sharded_adamw.h"
#include "pipeline/runner.h"
#include "train/options.h"

namespace eddy::train {

struct EngineOptions {
  model::StageOptions stage;
  optim::AdamwOptions adamw;
  double mtp_weight = 0.3;
  double router_bias_rate = 0.001;
  std::int64_t seq_len = 4096;                       ///< for the cost of attention, by which layers are dealt to stages
  comm::Backend backend = comm::Backend::automatic;  ///< what carries a GPU's data to other ranks
  std::int64_t bucket_elements = parallel::kBucketElements;  ///< of gradients that are summed at once (parallel/zero.h)
};
EngineOptions engine_options(const Config& config, bool mtp);

class Engine {
 public:
  /// Collective over `world`, which must outlive the engine. Parameters are zero, on the stream's device. The layout is
  /// validated before any memory is taken.
  Engine(comm::Communicator& world, const hf::ModelConfig& model, const parallel::Layout& layout,
         const EngineOptions& options, const device::Stream& stream = {});

  struct Result {
    double loss = 0, mtp_loss = 0;  ///< means over the masked tokens of the global batch
    double grad_norm = 0;
    bool skipped = false;     ///< loss or gradient not finite, or no token that counts: nothing has changed
    model::Stage::Load load;  ///< of this stage's layers; max 0 where it has no experts
  };
  /// Forward, backward, update over the micro-batches of this replica (in host memory); the same number on every rank.
  /// `before_update` is called when the gradients are there and nothing of the state has changed yet. Collective.
  Result step(std::span<const model::MicroBatch> batches, double lr, const std::function<void()>& before_update = {});

  /// The part of a step before the optimizer's: gradients of this replica's micro-batches lie in the store, not yet
  /// summed over replicas. Collective.
  Result forward_backward(std::span<const model::MicroBatch> batches) { return pass(batches, {}); }

  /// Sums over the micro-batches of all replicas, known on every rank. Collective; the same number of batches on every
  /// rank.
  model::LossSums evaluate(std::span<const model::MicroBatch> batches);

  const hf::ModelConfig& model() const { return model_; }
  const parallel::Groups& groups() const { return groups_; }
  const model::StagePlan& plan() const { return plan_; }
  /// Values read through a reference that was got before a step are the old ones, or none.
  const parallel::ParameterStore& store() {
    optimizer_.await_values();
    return store_;
  }
  optim::ShardedAdamw& optimizer() { return optimizer_; }
  const model::Stage& stage() const { return stage_; }
  /// Has `make` fill every parameter (its value is float32 in host memory), and takes the masters from it.
  void fill(const std::function<void(const parallel::Parameter&)>& make) { optimizer_.fill(make); }
  const device::Stream& stream() const { return store_.stream(); }
  /// On a GPU the most of its memory that was in use at once since the last step began. Else parameters, gradients,
  /// moments, and the most activations that the last step held.
  std::size_t peak_bytes() const;
  std::size_t peak_saved_bytes() const { return runner_.peak_saved_bytes(); }

 private:
  Result pass(std::span<const model::MicroBatch> batches, const pipeline::Runner::GradientsDone& done);
  /// Does this rank speak for its replica in sums over the world?
  bool speaks() const { return groups_.at.pp == 0 && groups_.at.tp == 0; }

  hf::ModelConfig model_;
  EngineOptions options_;
  parallel::Groups groups_;
  model::StagePlan plan_;
  parallel::ParameterStore store_;
  model::Stage stage_;
  pipeline::Runner runner_;
  optim::ShardedAdamw optimizer_;
};

}  // namespace eddy::train
