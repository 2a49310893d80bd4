#pragma once
// AdamW with ZeRO-1: every rank of a replica group reduces, clips and updates its own rows, then all gather the result.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "parallel/groups.h"
#include "parallel/parameter_store.h"
#include "parallel/zero.h"
#include "tensor/slice.h"

namespace eddy::optim {

struct AdamwOptions {
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8;
  double weight_decay = 0.1;   ///< decoupled; on matrices only (ParameterInfo::decay)
  double clip_norm = 1;        ///< largest norm of the global gradient; 0: no clipping
  Dtype moments = Dtype::f32;  ///< of the moments: float32, or on a GPU bf16
};

/// Elements that member `member` of a replica group updates: of each of its moments, and of its masters.
std::int64_t owned_elements(const std::vector<parallel::ParameterInfo>& flat, const parallel::ZeroPlan& plan,
                            int member);

/// Where the parameters are float32 they are the masters themselves; bf16 ones have float32 masters beside them.
/// Masters and moments exist for a rank's own rows only, where the store's stream runs. The last stage's copy of a tied
/// tensor has no state: its gradient joins the first stage's, whose value it then gets.
class ShardedAdamw {
 public:
  /// Store and groups must outlive this. Moments are zero. Collective over groups.tied.
  ShardedAdamw(const parallel::ParameterStore& store, const parallel::Groups& groups, const AdamwOptions& options);

  struct Result {
    double grad_norm = 0;  ///< of the whole model's gradient, each element once, before clipping
    bool skipped =
        false;  ///< the norm was not finite (on any rank: all agree), or `usable` was false: nothing has changed
  };
  /// Collective over the world: sums the store's gradients over the replicas, clips, updates at rate `lr`, gathers.
  /// Gradients hold partial sums afterwards: zero them before the next step. `usable` (the same on all ranks) false:
  /// only measures the norm.
  Result step(double lr, bool usable = true);

  std::int64_t updates() const { return updates_; }  ///< steps not skipped: AdamW's t
  void set_updates(std::int64_t n) { updates_ = n; }

  // State, as blocks of global tensors: "model/<name>" float32, "optim.m/<name>", "optim.v/<name>".
  /// What this rank saves, where the store's stream runs: over all ranks each element once (its own rows; what is not
  /// trained, from the first replica).
  std::vector<tensor::Slice> owned() const;
  /// Reads what this rank needs to go on: all its parameters, the moments of its own rows. `read` fills a block of
  /// float32 in host memory.
  void load(const std::function<void(const tensor::Slice&)>& read);
  /// Has `make` fill every parameter (as ParameterStore::fill), and takes the masters from it.
  void fill(const std::function<void(const parallel::Parameter&)>& make);
  /// Takes the masters from the parameters as they are.
  void masters_from_values();
  std::size_t moment_bytes() const;
  std::size_t master_bytes() const;

 private:
  struct Piece {  // rows of one parameter that this rank updates
    parallel::ParameterInfo info;
    std::int64_t begin, end;                  // rows
    std::int64_t value_offset, state_offset;  // elements in the flat values, in the moments
    std::int64_t numel;
  };
  struct Kind {
    parallel::Group group;
    parallel::ZeroPlan plan;
    std::size_t offset;  // of this rank's part of the flat buffers
    std::vector<Piece> pieces;
    tensor::Tensor m, v, master;  // [elements of the pieces]; master is empty where the parameters are float32
  };
  void find_tied();
  double reduce();
  void update(double lr, double scale);
  void take_master(const parallel::Parameter& parameter, tensor::View host);

  const parallel::ParameterStore& store_;
  const parallel::Groups& groups_;
  AdamwOptions options_;
  std::vector<Kind> kinds_;
  std::vector<const parallel::Parameter*> tied_;  // first and last stage: the same tensors in the same order
  tensor::Tensor squares_;                        // float64 [1]
  std::int64_t updates_ = 0;
};

}  // namespace eddy::optim
