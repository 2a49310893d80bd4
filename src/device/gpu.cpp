#include "device/gpu.h"

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/units.h"

#ifdef EDDY_WITH_CUDA
#include "device/cuda_check.h"
#endif

namespace eddy::device {

#ifdef EDDY_WITH_CUDA
void check(cudaError_t code, std::source_location at) {
  if (code == cudaSuccess) return;
  fail_run("CUDA: {} ({}) in {} ({}:{})", cudaGetErrorString(code), cudaGetErrorName(code), at.function_name(),
           at.file_name(), at.line());
}

namespace {
std::string version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}
}  // namespace

int gpu_count(std::string* why) {
  int count = 0;  // cudaGetDeviceCount leaves it alone when it fails
  const cudaError_t code = cudaGetDeviceCount(&count);
  if (code == cudaSuccess && count > 0) return count;
  if (why) {
    int driver = 0;
    const bool known = cudaDriverGetVersion(&driver) == cudaSuccess && driver > 0;
    if (code == cudaErrorInsufficientDriver && !known)
      *why = "no NVIDIA driver is installed on this machine";
    else if (code == cudaErrorInsufficientDriver)
      *why = fmt::format("the NVIDIA driver supports CUDA {}, this program needs {} (a driver of 580 or newer)",
                         version_text(driver), version_text(CUDART_VERSION));
    else if (code == cudaSuccess || code == cudaErrorNoDevice)
      *why = "no GPU is visible to this process (nvidia-smi lists them; CUDA_VISIBLE_DEVICES hides them)";
    else
      *why = cudaGetErrorString(code);
  }
  return 0;
}

GpuInfo gpu_info(int index) {
  std::string why;
  const int count = gpu_count(&why);
  if (count == 0) fail_input("run.device=cuda: {}", why);
  if (index < 0 || index >= count) fail_input("GPU {} is not there: this process sees {}", index, count);
  check(cudaSetDevice(index));
  cudaDeviceProp p{};
  check(cudaGetDeviceProperties(&p, index));
  if (p.major < 8)
    fail_input("GPU {} is a {} (compute capability {}.{}): Eddy's kernels need 8.0 (A100) or newer", index, p.name,
               p.major, p.minor);
  GpuInfo info;
  info.name = p.name;
  info.major = p.major;
  info.minor = p.minor;
  info.multiprocessors = p.multiProcessorCount;
  check(cudaMemGetInfo(&info.free_bytes, &info.total_bytes));
  int driver = 0;
  check(cudaDriverGetVersion(&driver));
  info.driver = version_text(driver);
  for (const char byte : p.uuid.bytes) info.uuid += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return info;
}

Stream open_gpu(int index, std::size_t bytes) {
  const GpuInfo info = gpu_info(index);
  void* base = nullptr;
  const cudaError_t code = cudaMalloc(&base, bytes);
  if (code == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    fail_run("GPU {} ({}) cannot give {}: {} of {} are free", index, info.name, bytes_text(static_cast<double>(bytes)),
             bytes_text(static_cast<double>(info.free_bytes)), bytes_text(static_cast<double>(info.total_bytes)));
  }
  check(code);
  auto arena = std::make_shared<Arena>(base, bytes, [](void* p) { (void)cudaFree(p); });
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return {stream, std::move(arena)};
}

PinnedBuffer::PinnedBuffer(std::size_t bytes) : data_(nullptr), bytes_(bytes) {
  check(cudaMallocHost(&data_, bytes ? bytes : 1));
}
PinnedBuffer::~PinnedBuffer() {
  (void)cudaFreeHost(data_);
}

void enqueue_to_host(const Stream& stream, const void* from, void* pinned, std::size_t bytes) {
  if (stream.on_gpu())
    check(cudaMemcpyAsync(pinned, from, bytes, cudaMemcpyDeviceToHost, native(stream)));
  else if (bytes)
    std::memcpy(pinned, from, bytes);
}

#else

int gpu_count(std::string* why) {
  if (why) *why = "this program was built without CUDA (cmake --preset cuda)";
  return 0;
}
GpuInfo gpu_info(int) {
  std::string why;
  gpu_count(&why);
  fail_input("run.device=cuda: {}", why);
}
Stream open_gpu(int index, std::size_t) {
  gpu_info(index);
  return {};
}
PinnedBuffer::PinnedBuffer(std::size_t bytes) : data_(std::malloc(bytes ? bytes : 1)), bytes_(bytes) {
  if (!data_) throw std::bad_alloc();
}
PinnedBuffer::~PinnedBuffer() {
  std::free(data_);
}

void enqueue_to_host(const Stream&, const void* from, void* pinned, std::size_t bytes) {
  if (bytes) std::memcpy(pinned, from, bytes);
}
#endif

}  // namespace eddy::device
