#pragma once
#include <string>
#include <vector>

namespace eddy {
/// `eddy-bench checkpoint`: saving and loading beside what the disk can, and what an asynchronous save costs training.
int bench_checkpoint(const std::vector<std::string>& arguments);
}  // namespace eddy
