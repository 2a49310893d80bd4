#pragma once
#include <string>
#include <vector>

/// `eddy-bench shard [--dir DIR] [--json]`: reading packed rows from mapped shards beside memcpy of the same bytes, in
/// one run on one thread. Returns the exit status.
int bench_shard(const std::vector<std::string>& arguments);
