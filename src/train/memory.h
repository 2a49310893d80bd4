#pragma once
// What each rank will hold: a pure function of model, layout and batch.
#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "comm/session.h"
#include "model/predict.h"
#include "parallel/zero.h"
#include "train/device.h"
#include "train/engine.h"

namespace eddy::train {

struct RankMemory {
  std::size_t values = 0, gradients = 0;  ///< bytes
  std::size_t masters = 0;                ///< float32 copies of parameters of another type
  std::size_t moments = 0;
  std::size_t activations = 0;  ///< held for backward passes at the fullest moment, whatever the routing; an estimate
  std::size_t checkpoint = 0;   ///< its part of a checkpoint: in host memory while that is written, not in total()
  std::size_t total() const { return values + gradients + masters + moments + activations; }
};

/// The memory of any rank of a layout; keeps what ranks have in common.
class MemoryPlan {
 public:
  /// `micro_batches` of `rows` rows of options.seq_len tokens in a step of one replica.
  MemoryPlan(const hf::ModelConfig& model, const parallel::Layout& layout, const EngineOptions& options, int rows,
             int micro_batches);
  RankMemory of(int rank);
  /// What is in use besides for a moment within a layer's forward or backward pass, at the most: an estimate.
  std::size_t working(int rank) const;
  const model::StagePlan& stages() const { return stages_; }
  /// The rank's parameters, in the order of its store.
  std::vector<parallel::ParameterInfo> parameters(int rank) const;

 private:
  const hf::ModelConfig& model_;
  parallel::Layout layout_;
  EngineOptions options_;
  std::int64_t tokens_;
  int rows_, micro_batches_;
  model::StagePlan stages_;
  std::map<std::tuple<int, int, int>, parallel::ZeroPlan> zero_;  // by stage, kind, TP rank
  std::map<std::pair<int, int>, std::size_t> activations_;        // by stage, TP rank
};

/// Throws Error (status 2) on every rank when a host, or a GPU, has less memory than its ranks will hold; `copies`: the
/// host also holds their copies of a checkpoint. Collective over the session's world.
void require_memory(comm::Session& session, const Device& device, MemoryPlan& plan, bool copies);

}  // namespace eddy::train
