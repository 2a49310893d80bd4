#pragma once
// AdamW with ZeRO-1: every rank of a replica group reduces, clips and updates its own rows, then all gather the result.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "device/lane.h"
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

/// Elements of each moment, and of the masters, that any member of a replica group holds.
std::int64_t owned_elements(const std::vector<parallel::ParameterInfo>& flat, const parallel::ZeroPlan& plan);
/// Those of them that are elements of parameters, which a checkpoint has, and not what fills up a part.
std::int64_t saved_elements(const std::vector<parallel::ParameterInfo>& flat, const parallel::ZeroPlan& plan,
                            int member);

/// Where the parameters are float32 they are the masters themselves; bf16 ones have float32 masters beside them.
/// Masters and moments exist for a rank's own part of each bucket only (zero.h), where the store's stream runs. The
/// last stage's copy of a tied tensor has no state: its gradient joins the first stage's, whose value it then gets.
///
/// On a GPU gradients are summed and values gathered on the stream's lane (device/lane.h), bucket by bucket: the sums
/// beside the backward pass, the gathers beside the update of the buckets that follow and the next forward pass.
/// Results do not depend on when a bucket is summed. On the CPU each call returns with its work done.
class ShardedAdamw {
 public:
  /// Store and groups must outlive this. Moments are zero. Collective over groups.tied.
  ShardedAdamw(const parallel::ParameterStore& store, const parallel::Groups& groups, const AdamwOptions& options);

  struct Result {
    double grad_norm = 0;  ///< of the whole model's gradient, each element once, before clipping
    bool skipped =
        false;  ///< the norm was not finite (on any rank: all agree), or `usable` was false: nothing has changed
  };
  /// The gradients of `first` and of all that come after it in the store's order get nothing more in this step: begins
  /// to sum the buckets that are thereby complete. Collective over the stage; step() sums what is left.
  void begin_sums(const parallel::Parameter& first);

  enum class Values { awaited, coming };
  /// Collective over the world: sums the store's gradients over the replicas, clips, updates at rate `lr`, gathers.
  /// Gradients hold partial sums afterwards: zero them before the next step. `usable` (the same on all ranks) false:
  /// only measures the norm. Values::coming: the store's values are there only for what is enqueued behind
  /// await_values().
  Result step(double lr, bool usable = true, Values values = Values::awaited);
  /// What is enqueued on the store's stream from now on sees the values of `last` and of all before it in the store's
  /// order as the last step made them.
  void await_values(const parallel::Parameter& last);
  void await_values();  ///< of all parameters

  std::int64_t updates() const { return updates_; }  ///< steps not skipped: AdamW's t
  void set_updates(std::int64_t n) { updates_ = n; }

  // State, as blocks of global tensors: "model/<name>" float32, "optim.m/<name>", "optim.v/<name>".
  /// What this rank saves, where the store's stream runs: over all ranks each element once (its own elements; what is
  /// not trained, from the first replica).
  std::vector<tensor::Slice> owned() const;
  /// Reads what this rank needs to go on: all its parameters, the moments of its own elements. `read` fills a block of
  /// float32 in host memory.
  void load(const std::function<void(const tensor::Slice&)>& read);
  /// Has `make` fill every parameter (as ParameterStore::fill), and takes the masters from it.
  void fill(const std::function<void(const parallel::Parameter&)>& make);
  /// Takes the masters from the parameters as they are.
  void masters_from_values();
  std::size_t moment_bytes() const;
  std::size_t master_bytes() const;

 private:
  struct Piece {  // elements of one parameter that this rank updates
    parallel::ParameterInfo info;
    std::int64_t begin, end;                  // in the parameter's block
    std::int64_t value_offset, state_offset;  // in the flat values, in the moments
    std::int64_t numel() const { return end - begin; }
  };
  struct Bucket {
    parallel::ZeroBucket plan;
    std::vector<Piece> pieces;
    bool late = false;              // holds a tied tensor: summed with its copy first, in step()
    bool begun = false;             // in this step
    device::Mark summed, gathered;  // on the lane
  };
  struct Kind {
    parallel::Group group;
    comm::Communicator& replicas;
    std::vector<Bucket> buckets;
    tensor::Tensor m, v, master;  // master is empty where the parameters are float32
  };
  void find_tied();
  void begin_sum(Kind& kind, Bucket& bucket);
  double reduce();
  void update(double lr, double scale);
  void gather(Kind& kind, Bucket& bucket);
  const parallel::Parameter& first_of(const Kind& kind, const Bucket& bucket) const {
    return store_.flat_at(kind.group, bucket.plan.first);
  }
  template <class F>
  void for_pieces(F&& f) const {
    for (const Kind& kind : kinds_)
      for (const Bucket& bucket : kind.buckets)
        for (const Piece& piece : bucket.pieces) f(kind, piece);
  }
  void take_master(const parallel::Parameter& parameter, tensor::View host);

  const parallel::ParameterStore& store_;
  const parallel::Groups& groups_;
  AdamwOptions options_;
  device::Stream lane_;
  device::Mark ready_;  // what the lane waits for
  std::vector<Kind> kinds_;
  std::vector<std::pair<Kind*, Bucket*>> order_;  // all buckets by their first parameters, as values are needed
  std::size_t awaited_ = 0;                       // those of them whose values the stream has waited for
  std::vector<std::pair<Kind*, Bucket*>> begun_;  // in this step, in order
  std::vector<const parallel::Parameter*> tied_;  // first and last stage: the same tensors in the same order
  tensor::Tensor squares_;                        // float64 [1]
  std::int64_t updates_ = 0;
};

}  // namespace eddy::optim
