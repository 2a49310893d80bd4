#pragma once
#include <string>
#include <vector>

namespace eddy {

/// eddy-bench slice: forward and backward, and whole steps, of a few layers of DeepSeek-V3's own dimensions.
int bench_slice(const std::vector<std::string>& arguments);

}  // namespace eddy
