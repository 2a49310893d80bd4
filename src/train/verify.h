#pragma once
// Compares one forward and backward pass with a golden file made by another implementation (docs/golden.md).
#include <filesystem>
#include <string>
#include <vector>

#include "comm/backend.h"
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
  Dtype dtype = Dtype::f32;  ///< of parameters and activations; bf16 on a GPU
  device::Stream stream;     ///< where to compute
  comm::Backend backend = comm::Backend::automatic;
  bool deterministic = true;
  double expert_capacity = model::StageOptions().expert_capacity;
  /// A pass in float32 first, whose expert choices the compared one replays: what bf16 alone does, without the choices
  /// that it flips between experts nearly tied.
  bool replay_routing = false;
};

/// What the comparison saw of the router, where a float32 pass was made for it (bf16).
struct RoutingChange {
  std::int64_t choices = 0;  ///< (token, expert) pairs of all layers
  std::int64_t changed = 0;  ///< pairs of the float32 pass that the compared pass, left alone, did not choose
};

/// One comparison. error: ‖a-b‖ / ‖b‖ for logits and losses; for gradients ‖a-b‖ / max(‖b‖, 1e-3 × the root mean square
/// of all gradients' norms). largest: max |a-b| / max |b|.
struct Comparison {
  std::string name;
  double error = 0, largest = 0, tolerance = 0;
  bool holds() const { return error <= tolerance; }  // false for NaN
};

/// Collective over `world`. The same list on every rank: losses and logits first, then gradients, worst first.
/// `change` (may be null) is filled in where options.dtype is bf16. Throws Error (status 2) for a golden file that is
/// damaged, does not fit the model or lacks a gradient.
std::vector<Comparison> verify(comm::Communicator& world, const VerifyOptions& options,
                               RoutingChange* change = nullptr);

}  // namespace eddy::train
