// The GPU's stream and memory: what is copied comes back, what is zeroed is zero, spans are timed.
#include "device/span.h"
#include "gpu_test.h"

using namespace eddy_test;  // NOLINT

TEST_CASE("memory of the GPU's arena") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  const Tensor host = random_tensor({37, 11}, 1);
  const std::size_t before = gpu->arena()->in_use();
  {
    const Tensor there = upload(*gpu, host);
    CHECK(gpu->arena()->in_use() > before);
    const Tensor back = download(*gpu, there);
    CHECK(relative_error(back, host) == 0);
    Tensor zeros = Tensor::zeros({5}, Dtype::f32, *gpu);
    CHECK(download(*gpu, zeros).f32()[4] == 0);
  }
  CHECK(gpu->arena()->in_use() == before);
  eddy::device::start_profile(*gpu);
  {
    Tensor big({1 << 24}, Dtype::f32, *gpu);
    const eddy::device::Span span(*gpu, "zero", {64.0 * (1 << 20), 0});
    big.fill_zero();
  }
  const auto times = eddy::device::stop_profile(*gpu);
  REQUIRE(times.size() == 1);
  CHECK(times[0].name == "zero");
  CHECK(times[0].seconds > 0);
  CHECK(times[0].count == 1);
}
