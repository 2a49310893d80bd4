#pragma once
// Sends tokens to the ranks that hold their experts, and the results back: all-to-all by token counts over the EP
// group.
#include <vector>

#include "comm/communicator.h"
#include "device/stream.h"
#include "tensor/tensor.h"

namespace eddy::parallel {

/// Where each (token, choice) pair goes. Kept from forward to backward, never recomputed.
/// A rank's pairs, sorted by expert then token, are its *send order*; since experts are dealt to ranks in order, the
/// pairs for one rank lie together. The receiver regroups what it got by expert (then source rank): the *expert order*.
/// On a rank alone both orders are one.
struct DispatchPlan {
  tensor::Tensor send_tokens;   ///< int32 [t·k]: token of each pair in send order; -1 behind the last
  tensor::Tensor send_pairs;    ///< int32 [t·k]: its place t·k + j in the choices; -1 likewise
  tensor::Tensor slots;         ///< int32 [t, k]: the pair's place in send order, -1 for none
  tensor::Tensor from_arrival;  ///< int32 [R]: row r in expert order is arrival row from_arrival[r]; empty when EP is 1
  tensor::Tensor to_arrival;    ///< int32 [R]: its inverse; empty when EP is 1
  tensor::Tensor offsets;       ///< int64 [local experts + 1]: rows of each local expert in expert order
  std::vector<std::size_t> send_rows, recv_rows;  ///< [EP]: pairs sent to and received from each rank
  std::int64_t pairs = 0;     ///< P; on a GPU alone t·k, an upper bound, so that the host need not wait for the count
  std::int64_t received = 0;  ///< R, likewise
  std::size_t bytes() const;
};

/// indices int32 [t, k] (-1: none) over `experts` experts, experts / EP to a rank, in order. total int64 [experts] (may
/// be empty) += pairs of each expert. Collective (exchanges counts, which on a GPU waits for the stream when EP > 1).
DispatchPlan plan_dispatch(const device::Stream& stream, comm::Communicator& ep, tensor::View indices, int experts,
                           tensor::View total);

/// rows [P, W] in send order → [R, W] in expert order, on the experts' ranks. Collective.
tensor::Tensor send_to_experts(const device::Stream& stream, comm::Communicator& ep, const DispatchPlan& plan,
                               tensor::Tensor rows);
/// The way back: [R, W] in expert order → [P, W] in send order. Collective.
tensor::Tensor return_from_experts(const device::Stream& stream, comm::Communicator& ep, const DispatchPlan& plan,
                                   tensor::Tensor rows);

}  // namespace eddy::parallel
