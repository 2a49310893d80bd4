#pragma once
// Compares one forward and backward pass with a golden file made by another implementation (docs/golden.md).
#include <filesystem>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "model/stage.h"
#include "parallel/mesh.h"

namespace eddy::train {

struct VerifyOptions {
  std::filesystem::path model, golden;
  double tolerance_logits = 1e-5;  ///< also for the losses
  double tolerance_grad = 1e-4;
  parallel::Layout layout;  ///< world filled in by the caller
  model::Recompute recompute = model::Recompute::none;
};

/// One comparison. error: ‖a-b‖ / ‖b‖ for logits and losses; for gradients ‖a-b‖ / max(‖b‖, 1e-3 × the root mean square
/// of all gradients' norms). largest: max |a-b| / max |b|.
struct Comparison {
  std::string name;
  double error = 0, largest = 0, tolerance = 0;
  bool holds() const { return error <= tolerance; }  // false for NaN
};

/// Collective over `world`. The same list on every rank: losses and logits first, then gradients, worst first.
/// Throws Error (status 2) for a golden file that is damaged, does not fit the model or lacks a gradient.
std::vector<Comparison> verify(comm::Communicator& world, const VerifyOptions& options);

}  // namespace eddy::train
