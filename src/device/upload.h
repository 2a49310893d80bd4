#pragma once
// Small things that the host makes for the GPU, sent without waiting for it.
#include <span>

#include "device/stream.h"

namespace eddy::device {

/// A copy: `bytes` of host memory to where the stream runs.
struct Upload {
  const void* from;
  void* to;
  std::size_t bytes;
};
/// Enqueues the copies. On return the host's memory may change though they are still to come: they leave from
/// page-locked memory that the stream keeps, a few sets of it in turn, each used again once its copies are done. On
/// the CPU they are done at once.
void upload(const Stream& stream, std::span<const Upload> copies);

}  // namespace eddy::device
