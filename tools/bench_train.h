#pragma once
#include <string>
#include <vector>

namespace eddy {
/// `eddy-bench train`: the FLOP rate of whole training steps (forward, backward, update) beside sgemm's in the same
/// run.
int bench_train(const std::vector<std::string>& arguments);
}  // namespace eddy
