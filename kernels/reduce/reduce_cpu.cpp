#include "kernels/reduce/reduce.h"

#include <algorithm>
#include <array>

#include "kernels/common/checks.h"
#include "kernels/common/scratch.h"

namespace eddy::kernels {
namespace {

constexpr std::int64_t kBlock = 4096;  // elements summed by one owner: fixed, so the sum does not depend on the threads
constexpr std::int64_t kLanes = 16;

/// Σ over blocks, in order, of f(first element, elements).
template <class F>
double sum_blocks(std::int64_t n, F f) {
  const std::int64_t blocks = (n + kBlock - 1) / kBlock;
  double* partial = scratch<double>(blocks);
#pragma omp parallel for schedule(static) if (worth_threads(n))
  for (std::int64_t b = 0; b < blocks; ++b) partial[b] = f(b * kBlock, std::min(kBlock, n - b * kBlock));
  double sum = 0;
  for (std::int64_t b = 0; b < blocks; ++b) sum += partial[b];
  return sum;
}

}  // namespace

double sum_of_squares(const Stream&, View x) {
  const std::int64_t n = x.numel();
  const float* a = floats_of(x, n, {"sum_of_squares", "x"});
  return sum_blocks(n, [a](std::int64_t begin, std::int64_t count) {
    // Independent partial sums, so that additions need not wait for each other; kLanes divides kBlock.
    std::array<double, kLanes> lanes{};
    const std::int64_t whole = count / kLanes * kLanes;
    for (std::int64_t i = begin; i < begin + whole; i += kLanes) {
#pragma omp simd
      for (std::int64_t j = 0; j < kLanes; ++j)
        lanes[j] += static_cast<double>(a[i + j]) * static_cast<double>(a[i + j]);
    }
    for (std::int64_t i = begin + whole; i < begin + count; ++i)
      lanes[0] += static_cast<double>(a[i]) * static_cast<double>(a[i]);
    double sum = 0;
    for (const double lane : lanes) sum += lane;
    return sum;
  });
}

double masked_sum(const Stream&, View x, View mask) {
  const std::int64_t n = x.numel();
  const float* a = floats_of(x, n, {"masked_sum", "x"});
  const std::uint8_t* m = mask ? bytes_of(mask, n, {"masked_sum", "mask"}) : nullptr;
  return sum_blocks(n, [a, m](std::int64_t begin, std::int64_t count) {
    double sum = 0;
    for (std::int64_t i = begin; i < begin + count; ++i) {
      if (!m) sum += static_cast<double>(a[i]);
      // what is masked out may be anything, NaN too
      else if (m[i])
        sum += static_cast<double>(a[i]) * m[i];
    }
    return sum;
  });
}

}  // namespace eddy::kernels
