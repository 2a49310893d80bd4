#pragma once
// Runs a schedule: one rank's actions in order, with what it receives from and sends to its neighbour stages.
#include <functional>
#include <span>

#include "model/stage.h"
#include "pipeline/schedule.h"

namespace eddy::pipeline {

class Runner {
 public:
  /// Stage and groups must outlive the runner; stream and dtype are the stage's.
  Runner(model::Stage& stage, const parallel::Groups& groups, const device::Stream& stream = {},
         Dtype dtype = Dtype::f32);
  /// One step's forward and backward passes over this replica's micro-batches by 1F1B; gradients are added to the
  /// store. The sums are those of the last stage, known on every stage afterwards. `done` (may be empty) is told in the
  /// last backward pass: the gradients of `first` and all that come after it in the store's order are complete.
  using GradientsDone = std::function<void(const parallel::Parameter& first)>;
  model::LossSums train(std::span<const model::MicroBatch> batches, const model::LossScale& scale,
                        const GradientsDone& done = {});
  /// Forward only (validation).
  model::LossSums evaluate(std::span<const model::MicroBatch> batches);

  std::size_t peak_saved_bytes() const {
    return peak_saved_bytes_;
  }  ///< of activations held for backward passes, in the last train()

 private:
  tensor::Tensor receive(std::int64_t tokens, int from_stage, int tag);
  model::LossSums shared_losses();
  model::Stage& stage_;
  const parallel::Groups& groups_;
  device::Stream stream_;
  Dtype dtype_;
  std::size_t peak_saved_bytes_ = 0;
};

}  // namespace eddy::pipeline
