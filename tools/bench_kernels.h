#pragma once
#include <string>
#include <vector>

namespace eddy {

/// eddy-bench kernels: every kernel at the sizes of the benchmark slice, beside the ceilings of the same run.
int bench_kernels(const std::vector<std::string>& arguments);

}  // namespace eddy
