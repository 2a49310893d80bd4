#include "train/device.h"

#include <algorithm>

#include "base/error.h"
#include "comm/gpu.h"
#include "device/gpu.h"

namespace eddy::train {
namespace {

/// Left to the libraries, which take memory of their own: cuBLAS's and cuDNN's kernels, and with several ranks NCCL's
/// buffers for each communicator.
constexpr std::size_t kReserve = std::size_t{3} << 29, kReserveForNccl = std::size_t{1} << 30;  // 1.5 GiB, 1 GiB

}  // namespace

Device choose_device(comm::Session& session, const std::string& asked) {
  Device d;
  if (asked == "cpu") return d;
  std::string why;
  double counts[2] = {static_cast<double>(device::gpu_count(&why)), 0};  // this rank's; any rank without?
  counts[1] = -counts[0];
  session.world().all_reduce(counts, 2, Dtype::f64, comm::Reduce::max);
  if (counts[1] == 0) {  // the fewest is none
    if (asked == "cuda") fail_input("run.device = cuda: {}", why.empty() ? "another rank's host has no GPU" : why);
    return d;
  }
  const comm::GpuChoice choice = comm::choose_gpu(session);
  const device::GpuInfo info = device::gpu_info(choice.index);
  d.index = choice.index;
  d.name = info.name;
  const std::size_t reserve = std::min(kReserve + (session.size() > 1 ? kReserveForNccl : 0), info.free_bytes / 8);
  d.capacity = info.free_bytes / static_cast<std::size_t>(choice.sharing) - reserve;
  return d;
}

void open(Device& d) {
  if (d.on_gpu()) d.stream = device::open_gpu(d.index, d.capacity);
}

Dtype choose_dtype(const Device& device, const std::string& asked) {
  if (asked == "bf16" && !device.on_gpu())
    fail_input("train.dtype = bf16 needs a GPU: the CPU computes in float32 (train.dtype = auto chooses by device)");
  return asked == "bf16" || (asked == "auto" && device.on_gpu()) ? Dtype::bf16 : Dtype::f32;
}

void settle(const Device& device, Config& config) {
  config.run.device = device.on_gpu() ? "cuda" : "cpu";
  config.train.dtype = choose_dtype(device, config.train.dtype) == Dtype::bf16 ? "bf16" : "float32";
  if (config.optim.moments == "bf16" && !device.on_gpu())
    fail_input("optim.moments = bf16 needs a GPU: the CPU's are float32");
}

}  // namespace eddy::train
