#pragma once
#include <string>
#include <vector>

namespace eddy {
/// `eddy-bench comm`: bus bandwidth (as nccl-tests defines it) of the collectives that training uses.
int bench_comm(const std::vector<std::string>& arguments);
}  // namespace eddy
