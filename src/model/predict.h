#pragma once
// What a step costs a rank, from the layout alone and the rows that the router sent: bytes held for the backward pass,
// bytes sent in each group. Pure functions, in the units of Saved::bytes() and Communicator::bytes_sent(); tests hold
// the running model to them.
#include "model/stage.h"

namespace eddy::model {

struct StepShape {
  const hf::ModelConfig& config;
  parallel::Layout layout;
  int rank = 0;
  const StagePlan& plan;
  StageOptions options;
  std::int64_t tokens = 0;  ///< T of a micro-batch (padded to a multiple of TP)
  std::int64_t rows = 1;    ///< packed rows of a micro-batch
};

/// What is planned with before a run: in every MoE layer as many rows as a wave may have, and the visits, waves and
/// routing of the most skewed choices.
RoutedRows planned_routing(const StepShape& shape);

/// Saved::bytes() of one micro-batch on this rank's stage.
std::size_t saved_bytes(const StepShape& shape, const RoutedRows& routed);

/// Bytes this rank sends in one micro-batch's forward and backward pass.
struct Traffic {
  std::uint64_t tp = 0, ep = 0, pp = 0;
};
Traffic micro_batch_traffic(const StepShape& shape, const RoutedRows& routed);

}  // namespace eddy::model
