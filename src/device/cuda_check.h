#pragma once
// For sources of the CUDA build only.
#include <cuda_runtime_api.h>

#include <source_location>

#include "device/stream.h"

namespace eddy::device {

/// Throws Error (status 1) with CUDA's text and the place unless `code` is cudaSuccess.
void check(cudaError_t code, std::source_location at = std::source_location::current());

inline cudaStream_t native(const Stream& stream) {
  return static_cast<cudaStream_t>(stream.native());
}

}  // namespace eddy::device
