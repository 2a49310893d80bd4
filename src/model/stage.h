#pragma once
// One pipeline stage of the model: embedding, decoder layers, head, MTP, as far as the stage plan gives them to this
// rank. Forward and backward are written by hand (docs/numerics.md).
#include <functional>
#include <memory>

#include "hf/config.h"
#include "model/micro_batch.h"
#include "model/parameters.h"
#include "parallel/groups.h"
#include "parallel/parameter_store.h"

namespace eddy::model {

enum class Recompute { none, selective, full };
Recompute parse_recompute(const std::string& name);  ///< throws Error (status 2)

struct StageOptions {
  Recompute recompute = Recompute::none;
  bool mtp = false;                ///< train (and evaluate) the multi-token-prediction layer
  double balance_loss = 0;         ///< α of the sequence-level balance loss (arXiv 2412.19437, eq. 17); 0: off
  std::int64_t head_chunk = 4096;  ///< tokens whose logits are in memory at once
  Dtype dtype = Dtype::f32;        ///< of activations, the store's type: float32, or bf16 on a GPU
  /// Rows that a rank's experts take at once, over those of balanced routing; more come in further waves. EP > 1 only.
  double expert_capacity = 1.5;
  bool deterministic = true;  ///< false: a GPU's attention may add gradients in any order, which is faster
};

/// Factors on each token's loss in the gradient: 1 / Σ masked tokens of the global batch; MTP's with its own count and
/// weight. `balance` = 1 / number of rows of the global batch.
struct LossScale {
  double main = 0, mtp = 0, balance = 0;
};
/// Sums over this rank's micro-batches; the caller divides by the global counts. Only the last stage has any, and every
/// TP rank of a replica holds the same values.
struct LossSums {
  double main = 0, mtp = 0;
  std::int64_t main_count = 0, mtp_count = 0;
  LossSums& operator+=(const LossSums& o);
};

enum class Pass { train, evaluate };

/// What one micro-batch's routing brought a rank, summed over a stage's MoE layers (parallel/dispatch.h).
struct RoutedRows {
  std::int64_t held = 0;                          ///< rows of its experts in first waves: their activations are kept
  std::int64_t rows = 0;                          ///< rows of its experts in all waves
  std::int64_t arrivals = 0;                      ///< visits received, its own tokens' included
  std::int64_t sent_away = 0, received_away = 0;  ///< visits to and from other ranks, of all waves
  std::int64_t sent_again = 0;                    ///< visits to other ranks of all but first waves
  std::int64_t waves = 0;                         ///< of all layers
  std::int64_t split = 0;                         ///< layers with several waves
  int most_waves = 0;                             ///< of one layer
};

class WeightGradients;  // model/weight_gradients.h

/// What one micro-batch's forward pass leaves for its backward pass in one stage. Opaque outside src/model.
class Saved {
 public:
  virtual ~Saved() = default;
  virtual std::size_t bytes() const = 0;  ///< of the tensors held now
};

class Stage {
 public:
  /// `store` holds stage_parameters(...) of this rank where `stream` runs; both must outlive the stage.
  Stage(const hf::ModelConfig& config, const parallel::Groups& groups, const StagePlan& plan,
        const parallel::ParameterStore& store, const StageOptions& options, const device::Stream& stream = {});
  ~Stage();

  struct Output {
    tensor::Tensor hidden;         ///< [T / TP, hidden], for the next stage; empty on the last
    std::unique_ptr<Saved> saved;  ///< null in Pass::evaluate
  };
  /// `batch` lies where the stream runs, here and below. input [T / TP, hidden] from the stage before; empty on the
  /// first.
  Output forward(const MicroBatch& batch, tensor::Tensor input, Pass pass, const LossScale& scale);
  /// d_output [T / TP, hidden], the gradient of `hidden` (empty on the last stage) → the gradient of `input` (empty on
  /// the first). Gradients of weights are added to the store's, at once or, when `deferred` is given, by
  /// deferred->run().
  tensor::Tensor backward(const MicroBatch& batch, std::unique_ptr<Saved> saved, tensor::Tensor d_output,
                          WeightGradients* deferred = nullptr);

  /// Called in backward passes that defer nothing: `first` and all that come after it in the store's order have got
  /// what this micro-batch adds to their gradients; each call says so of more. Empty: off.
  std::function<void(const parallel::Parameter& first)> on_gradients;

  /// Called in forward passes: what is enqueued from then on reads the values of `last` and of all before it in the
  /// store's order. Empty: off.
  std::function<void(const parallel::Parameter& last)> on_values;

  bool first() const;
  bool last() const;
  std::int64_t hidden_size() const;

  /// The losses of the forward passes since the last call. Waits for the stream.
  LossSums take_losses();

  struct Load {
    double max = 0, min = 0;  ///< busiest and idlest expert of this stage's layers, relative to the mean load
    int waves = 0;            ///< the most that a layer's experts needed in a micro-batch
  };
  /// Sums the counts over the stage (all DP, CP and TP ranks), moves each bias by ±rate towards balance (arXiv
  /// 2408.15664, algorithm 1; rate 0 leaves them) and clears the counts. Collective over the stage.
  Load update_router_bias(double rate);
  void clear_router_counts();
  /// Of each training forward pass since the counts were cleared, in order (model/predict.h).
  const std::vector<RoutedRows>& routed() const;

  /// Has the expert choices of the next forward passes made here: called with the micro-batch's number since this was
  /// set, the MoE layer's place in the stage (the MTP layer's last) and indices int32 [t, k] in host memory, which it
  /// may read or overwrite (a replay, eddy-verify). Empty: off. Waits for the stream.
  std::function<void(std::int64_t batch, int layer, tensor::View indices)> on_routing;

  /// Shows each block of logits as it is computed (eddy-verify): mtp or main, first token, [n, V / TP] float32 in host
  /// memory. Empty: off.
  std::function<void(bool mtp, std::int64_t first_token, tensor::View logits)> on_logits;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace eddy::model
