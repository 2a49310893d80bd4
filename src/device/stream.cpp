#include "device/stream.h"

#include <cstring>

#ifdef EDDY_WITH_CUDA
#include "device/cuda_check.h"
#endif

namespace eddy::device {

#ifdef EDDY_WITH_CUDA
void Stream::synchronize() const {
  if (on_gpu()) check(cudaStreamSynchronize(device::native(*this)));
}
void copy_to_host(const Stream& stream, const void* device, void* host, std::size_t bytes) {
  if (!stream.on_gpu()) {
    if (bytes) std::memcpy(host, device, bytes);
    return;
  }
  check(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, native(stream)));
  stream.synchronize();
}
void copy_to_device(const Stream& stream, const void* host, void* device, std::size_t bytes) {
  if (!stream.on_gpu()) {
    if (bytes) std::memcpy(device, host, bytes);
    return;
  }
  check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, native(stream)));
  stream.synchronize();
}
void zero(const Stream& stream, void* data, std::size_t bytes) {
  if (stream.on_gpu())
    check(cudaMemsetAsync(data, 0, bytes, native(stream)));
  else if (bytes)
    std::memset(data, 0, bytes);
}
#else
void Stream::synchronize() const {}
void copy_to_host(const Stream&, const void* device, void* host, std::size_t bytes) {
  if (bytes) std::memcpy(host, device, bytes);
}
void copy_to_device(const Stream&, const void* host, void* device, std::size_t bytes) {
  if (bytes) std::memcpy(device, host, bytes);
}
void zero(const Stream&, void* data, std::size_t bytes) {
  if (bytes) std::memset(data, 0, bytes);
}
#endif

}  // namespace eddy::device
