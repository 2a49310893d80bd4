// The GPU's stream and memory: what is copied comes back, what is zeroed is zero, spans are timed.
#include "device/span.h"
#include "device/upload.h"
#include "gpu_test.h"
#include "kernels/elementwise/elementwise.h"

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

TEST_CASE("uploads to the GPU: the host's memory is free at once, whatever the GPU still has to do") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  constexpr int kRounds = 11;  // more than the stream keeps sets of page-locked memory
  const Tensor from = Tensor::zeros({1 << 26}, Dtype::f32, *gpu), to({1 << 26}, Dtype::f32, *gpu);
  std::vector<Tensor> there;
  for (int round = 0; round < kRounds; ++round) {
    for (int i = 0; i < 4; ++i) eddy::kernels::copy(*gpu, from, to);  // something else first
    const std::int64_t n = 1000 + 500 * round;                        // more each time
    Tensor host({n}), small({3});
    for (std::int64_t i = 0; i < n; ++i) host.f32()[i] = static_cast<float>(round * 10000 + i);
    for (int i = 0; i < 3; ++i) small.f32()[i] = static_cast<float>(-round - i);
    there.emplace_back(Shape{n}, Dtype::f32, *gpu);
    there.emplace_back(Shape{3}, Dtype::f32, *gpu);
    const eddy::device::Upload copies[] = {{host.view().data, there[there.size() - 2].view().data, host.bytes()},
                                           {nullptr, nullptr, 0},
                                           {small.view().data, there.back().view().data, small.bytes()}};
    eddy::device::upload(*gpu, copies);
    for (std::int64_t i = 0; i < n; ++i) host.f32()[i] = NAN;
    for (int i = 0; i < 3; ++i) small.f32()[i] = NAN;
  }
  int wrong = 0;
  for (int round = 0; round < kRounds; ++round) {
    const Tensor big = download(*gpu, there[static_cast<std::size_t>(2 * round)]),
                 small = download(*gpu, there[static_cast<std::size_t>(2 * round + 1)]);
    for (std::int64_t i = 0; i < big.view().numel(); ++i)
      wrong += big.f32()[i] != static_cast<float>(round * 10000 + i);
    for (int i = 0; i < 3; ++i) wrong += small.f32()[i] != static_cast<float>(-round - i);
  }
  CHECK(wrong == 0);
}
