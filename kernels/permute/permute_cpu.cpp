#include "kernels/permute/permute.h"

#include <algorithm>

#include "kernels/common/checks.h"
#include "kernels/permute/permute_cuda.h"

namespace eddy::kernels {
void gather_rows(const Stream& stream, View x, View rows, View y) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::gather_rows(stream, x, rows, y);
  const Rows from = rows_of(x, {"gather_rows", "x"}), to = rows_of(y, -1, from.cols, {"gather_rows", "y"});
  const std::int32_t* row = ints_of(rows, to.rows, {"gather_rows", "rows"});
  check_indices(row, to.rows, from.rows, {"gather_rows", "rows"});
#pragma omp parallel for schedule(static) if (worth_threads(to.rows * to.cols))
  for (std::int64_t r = 0; r < to.rows; ++r) {
    if (row[r] >= 0)
      std::copy_n(from[row[r]], to.cols, to[r]);
    else
      std::fill_n(to[r], to.cols, 0.0f);
  }
}

void combine_rows(const Stream& stream, View x, View slots, View weights, bool accumulate, View y) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::combine_rows(stream, x, slots, weights, accumulate, y);
  const Rows from = rows_of(x, {"combine_rows", "x"}), to = rows_of(y, -1, from.cols, {"combine_rows", "y"});
  const std::int64_t k = slots.cols();
  const std::int32_t* slot = ints_of(slots, to.rows * k, {"combine_rows", "slots"});
  const float* weight = weights ? floats_of(weights, to.rows * k, {"combine_rows", "weights"}) : nullptr;
  check_indices(slot, to.rows * k, from.rows, {"combine_rows", "slots"});
#pragma omp parallel for schedule(static) if (worth_threads(to.rows * to.cols * k))
  for (std::int64_t t = 0; t < to.rows; ++t) {
    float* b = to[t];
    if (!accumulate) std::fill_n(b, to.cols, 0.0f);
    for (std::int64_t j = t * k; j < (t + 1) * k; ++j) {
      if (slot[j] < 0) continue;
      const float *a = from[slot[j]], w = weight ? weight[j] : 1.0f;
#pragma omp simd
      for (std::int64_t i = 0; i < to.cols; ++i) b[i] += w * a[i];
    }
  }
}

}  // namespace eddy::kernels
