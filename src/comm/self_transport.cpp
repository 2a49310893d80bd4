#include "comm/self_transport.h"

#include "base/error.h"

#ifdef EDDY_WITH_CUDA
#include "device/cuda_check.h"
#endif

namespace eddy::comm {
namespace {

#ifdef EDDY_WITH_CUDA
void copy(const void* in, void* out, std::size_t count, Dtype dtype, const device::Stream& stream) {
  if (in != out && count > 0)
    device::check(cudaMemcpyAsync(out, in, count * size_of(dtype), cudaMemcpyDeviceToDevice, device::native(stream)));
}
#else
void copy(const void*, void*, std::size_t, Dtype, const device::Stream&) {}
#endif

class SelfTransport final : public DeviceTransport {
 public:
  const char* name() const override { return "self"; }
  void broadcast(void*, std::size_t, Dtype, int, const device::Stream&) override {}
  void all_reduce(void*, std::size_t, Dtype, Reduce, const device::Stream&) override {}
  void all_gather_v(const void* in, void* out, std::span<const std::size_t> counts, Dtype dtype,
                    const device::Stream& stream) override {
    copy(in, out, counts[0], dtype, stream);
  }
  void reduce_scatter_v(const void* in, void* out, std::span<const std::size_t> counts, Dtype dtype,
                        const device::Stream& stream) override {
    copy(in, out, counts[0], dtype, stream);
  }
  void all_to_all_v(const void* in, std::span<const std::size_t> counts, void* out, std::span<const std::size_t>,
                    Dtype dtype, const device::Stream& stream) override {
    copy(in, out, counts[0], dtype, stream);
  }
  std::unique_ptr<Request> isend(const void*, std::size_t, Dtype, int, int, const device::Stream&) override {
    fail_run("isend in a group of one rank");
  }
  void recv(void*, std::size_t, Dtype, int, int, const device::Stream&) override {
    fail_run("recv in a group of one rank");
  }
};

}  // namespace

std::unique_ptr<DeviceTransport> self_transport() {
  return std::make_unique<SelfTransport>();
}

}  // namespace eddy::comm
