// The sum of squares on the GPU against its CPU twin.
#include "kernels/reduce/reduce.h"

#include "padded.h"

using namespace eddy_test;  // NOLINT
namespace kernels = eddy::kernels;

namespace {

double on_gpu(const eddy::device::Stream& gpu, View x, double before) {
  Tensor sum({1}, Dtype::f64);
  *static_cast<double*>(sum.view().data) = before;
  const Tensor there = upload(gpu, sum, Dtype::f64);
  kernels::sum_of_squares(gpu, x, there);
  return *static_cast<double*>(eddy::tensor::to_host(gpu, there).view().data);
}
double on_cpu(View x, double before) {
  kernels::sum_of_squares({}, x, View(&before, Dtype::f64, {1}));
  return before;
}

}  // namespace

TEST_CASE("sum_of_squares on the GPU, from any start") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  const Tensor host = random_tensor({(1 << 21) + 8}, 1), there = upload(*gpu, host);
  // Less than a pack; one block; several; more than the most blocks have packs in flight for.
  for (const std::int64_t n : {0, 1, 2, 3, 4, 5, 255, 4096, 4101, 100003, (1 << 21) + 3}) {
    for (const std::int64_t start : {0, 1, 2, 3, 5}) {
      CAPTURE(n, start);
      const double expected = on_cpu({host.f32() + start, Dtype::f32, {n}}, 1.5);
      const View x(there.f32() + start, Dtype::f32, {n});
      const double actual = on_gpu(*gpu, x, 1.5);
      CHECK(actual == approx(expected).epsilon(1e-13));
      CHECK(on_gpu(*gpu, x, 1.5) == actual);
    }
  }
}

TEST_CASE("sum_of_squares on the GPU carries what is not finite, and does not overflow") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const std::int64_t at : {0, 3, 8200, 9999}) {
    CAPTURE(at);
    Tensor x = random_tensor({10000}, 2);
    x.f32()[at] = INFINITY;
    CHECK(on_gpu(*gpu, upload(*gpu, x), 0) == INFINITY);
    x.f32()[at] = NAN;
    CHECK(std::isnan(on_gpu(*gpu, upload(*gpu, x), 0)));
    x.f32()[at] = 3e38f;
    CHECK(on_gpu(*gpu, upload(*gpu, x), 0) == approx(on_cpu(x, 0)).epsilon(1e-13));
  }
}
