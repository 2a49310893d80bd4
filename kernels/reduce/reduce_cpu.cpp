#include "kernels/reduce/reduce.h"

#include <algorithm>
#include <array>

#include "kernels/common/checks.h"
#include "kernels/common/scratch.h"
#include "kernels/reduce/reduce_cuda.h"

namespace eddy::kernels {
namespace {

constexpr std::int64_t kBlock = 4096;  // elements summed by one owner: fixed, so the sum does not depend on the threads
constexpr std::int64_t kLanes = 16;

double squares(const float* a, std::int64_t count) {
  // Independent partial sums, so that additions need not wait for each other.
  std::array<double, kLanes> lanes{};
  const std::int64_t whole = count / kLanes * kLanes;
  for (std::int64_t i = 0; i < whole; i += kLanes) {
#pragma omp simd
    for (std::int64_t j = 0; j < kLanes; ++j) lanes[j] += static_cast<double>(a[i + j]) * static_cast<double>(a[i + j]);
  }
  for (std::int64_t i = whole; i < count; ++i) lanes[0] += static_cast<double>(a[i]) * static_cast<double>(a[i]);
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

}  // namespace

void sum_of_squares(const Stream& stream, View x, View sum) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::sum_of_squares(stream, x, sum);
  const std::int64_t n = x.numel(), blocks = (n + kBlock - 1) / kBlock;
  const float* a = floats_of(x, n, {"sum_of_squares", "x"});
  double* total = doubles_of(sum, 1, {"sum_of_squares", "sum"});
  double* partial = scratch<double>(blocks);
#pragma omp parallel for schedule(static) if (worth_threads(n))
  for (std::int64_t b = 0; b < blocks; ++b) partial[b] = squares(a + b * kBlock, std::min(kBlock, n - b * kBlock));
  double all = 0;
  for (std::int64_t b = 0; b < blocks; ++b) all += partial[b];
  *total += all;
}

}  // namespace eddy::kernels
