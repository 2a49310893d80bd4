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
struct DispatchPlan {
  tensor::Tensor send_tokens;                     ///< int32 [P]: token of each pair in send order
  tensor::Tensor slots;                           ///< int32 [t, k]: the pair's place in send order, -1 for none
  tensor::Tensor from_arrival;                    ///< int32 [R]: row r in expert order is arrival row from_arrival[r]
  tensor::Tensor to_arrival;                      ///< int32 [R]: its inverse
  std::vector<std::size_t> send_rows, recv_rows;  ///< [EP]: pairs sent to and received from each rank
  std::vector<std::int64_t> offsets;              ///< [local experts + 1]: rows of each local expert in expert order
  std::int64_t pairs = 0;                         ///< P
  std::int64_t received = 0;                      ///< R
  std::size_t bytes() const;
};

/// indices int32 [t, k] (-1: none) over `experts` experts, experts / EP to a rank, in order. Collective (exchanges
/// counts).
DispatchPlan plan_dispatch(comm::Communicator& ep, tensor::View indices, int experts);

/// rows [P, W] float32 in send order → [R, W] in expert order, on the experts' ranks. Collective.
tensor::Tensor send_to_experts(const device::Stream& stream, comm::Communicator& ep, const DispatchPlan& plan,
                               tensor::View rows);
/// The way back: [R, W] in expert order → [P, W] in send order. Collective.
tensor::Tensor return_from_experts(const device::Stream& stream, comm::Communicator& ep, const DispatchPlan& plan,
                                   tensor::View rows);

}  // namespace eddy::parallel
