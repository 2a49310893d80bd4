#pragma once
// Threads for work that waits for disks: not for kernels, which have OpenMP.
#include <cstddef>
#include <functional>

namespace eddy {

/// Calls work(i) for every i below `count`, from up to `threads` threads at once, the calling one among them; returns
/// when all are done. The first exception is thrown again, and what has not begun by then is left.
void parallel_for(int threads, std::size_t count, const std::function<void(std::size_t)>& work);

}  // namespace eddy
