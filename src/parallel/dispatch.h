#pragma once
// Sends tokens to the ranks that hold their experts, and the results back: all-to-all over the EP group, one row for
// each rank that a token visits (not for each of its experts), in waves where a rank would get more than planned.
#include <vector>

#include "comm/communicator.h"
#include "device/lane.h"
#include "device/stream.h"
#include "tensor/tensor.h"

namespace eddy::parallel {

/// The rows [R, W] of one rank's experts are in *expert order*: by local expert, then source rank, then token. A rank
/// receives A rows, the *arrivals*, by source rank, then token; each is dealt out to its experts on this rank, and
/// their results are summed to one row before they go back. On a rank alone its own t tokens are the arrivals, and
/// nothing is exchanged.
struct DispatchWave {
  std::vector<std::size_t> send_rows, recv_rows;  ///< [EP]: visits sent to and received from each rank
  std::int64_t begin = 0, sent = 0;               ///< its visits [begin, begin + sent) in the order of sending
  std::int64_t arrived = 0;                       ///< A
  std::int64_t rows = 0;                          ///< R; on a GPU alone an upper bound, so that the host need not wait
  tensor::Tensor slots;    ///< int32 [A, k]: row in expert order of each arrival's choices, -1: not here
  tensor::Tensor tokens;   ///< int32 [A · k]: arrival of each row in expert order; -1 behind the last
  tensor::Tensor offsets;  ///< int64 [local experts + 1]: rows of each local expert in expert order
  tensor::Tensor weights;  ///< float32 [R, 1]: weight of each row
};

/// Where each (token, choice) pair goes. Kept from forward to backward, never recomputed. V visits are sent, m =
/// min(k, EP) a token at the most, in the order of waves, ranks, tokens (with several waves: ranks, rows of a visit,
/// tokens).
struct DispatchPlan {
  tensor::Tensor slots;   ///< int32 [t, m]: places of each token's visits by rank, -1 for none; empty when EP is 1
  tensor::Tensor tokens;  ///< int32 [t · m]: token of each visit; -1 behind the last; empty when EP is 1
  std::vector<DispatchWave> waves;  ///< as many on every rank of the group
  std::size_t bytes() const;
};

/// A visit of each rank with each possible number of rows: with room for less, waves could not be made small enough.
std::int64_t least_rows(int top_k, int experts, int ranks);
/// Rows in expert order that a wave has at the most on a rank with `tokens` own tokens: `factor` times the share of
/// each rank when all are equally busy, at least least_rows, and no more than there can be.
std::int64_t planned_rows(std::int64_t tokens, int top_k, int experts, int ranks, double factor);

/// indices int32 [t, k] (-1: none) over `experts` experts, experts / EP to a rank, in order; weights float32 [t, k].
/// capacity: planned_rows, the same on every rank. total int64 [experts] (may be empty) += pairs of each expert.
/// Collective (every rank learns what all send, for which a GPU's host waits for the stream when EP > 1: once, or twice
/// where there are waves).
DispatchPlan plan_dispatch(const device::Stream& stream, comm::Communicator& ep, tensor::View indices,
                           tensor::View weights, int experts, std::int64_t capacity, tensor::View total);

/// Rows under way between the ranks, on the lane Lane::rows, beside what is enqueued on the stream until they are
/// waited for. Nothing is under way on a rank alone.
struct Transit {
  tensor::Tensor leaving, arrived;
  device::Mark there;
};

/// x [t, W], a row a token, sets out for the ranks of its experts; x must stay as it is until it was received.
/// Collective.
Transit begin_to_experts(const device::Stream& stream, comm::Communicator& ep, const DispatchPlan& plan,
                         const DispatchWave& wave, tensor::View x);
/// Waits for the rows → [R, W] in expert order. x: that of begin_to_experts.
tensor::Tensor receive_at_experts(const device::Stream& stream, const DispatchWave& wave, tensor::View x,
                                  Transit transit);
/// The way back, its transpose: rows [R, W] in expert order set out for `back`, which the last wave completes: [V, W],
/// a row a visit, each the sum over the experts of one rank in the order of the choices (in float32, rounded to the
/// rows' type). Alone `back` is `rows` itself. Collective.
Transit begin_from_experts(const device::Stream& stream, comm::Communicator& ep, const DispatchPlan& plan,
                           const DispatchWave& wave, tensor::Tensor rows, tensor::Tensor& back);
/// Waits until `back` has what begin_from_experts or begin_weight_gradients sent there.
void end_transit(const device::Stream& stream, Transit transit);
/// y [t, W] = Σ over each token's visits, or alone its experts, of its rows in `back` (+ y when accumulate): by rank,
/// or alone in the order of the choices.
void sum_returned(const device::Stream& stream, const DispatchPlan& plan, tensor::View back, bool accumulate,
                  tensor::View y);

/// d_weights float32 [R, 1] in expert order set out for `back` as above, but of k columns: a value a choice, 0 for
/// those of other ranks. Collective.
Transit begin_weight_gradients(const device::Stream& stream, comm::Communicator& ep, const DispatchPlan& plan,
                               const DispatchWave& wave, tensor::View d_weights, tensor::Tensor& back);
/// The gradient [t, k] of plan_dispatch's weights.
tensor::Tensor weight_gradients(const device::Stream& stream, const DispatchPlan& plan, tensor::Tensor back);

}  // namespace eddy::parallel
