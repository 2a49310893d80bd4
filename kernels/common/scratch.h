#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace eddy::kernels {

/// `n` elements of the calling thread's scratch for T, not initialised, kept between calls so that kernels do not
/// allocate in their loops. One kernel at a time: the next call on the thread may reuse or move it.
template <class T>
T* scratch(std::int64_t n) {
  thread_local std::vector<T> buffer;
  if (buffer.size() < static_cast<std::size_t>(n)) buffer.resize(static_cast<std::size_t>(n));
  return buffer.data();
}

}  // namespace eddy::kernels
