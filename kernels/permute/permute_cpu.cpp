#include "kernels/permute/permute.h"

#include <algorithm>

#include "kernels/common/checks.h"

namespace eddy::kernels {
namespace {

struct Slots {
  const std::int32_t* index;
  std::int64_t k;
};
/// slots int32 [tokens, k], each -1 or a row below `rows`.
Slots slots_of(const View& slots, std::int64_t tokens, std::int64_t rows, const char* op) {
  const std::int64_t k = slots.cols();
  const std::int32_t* index = ints_of(slots, tokens * k, {op, "slots"});
  check_indices(index, tokens * k, rows, {op, "slots"});
  return {index, k};
}

}  // namespace

void gather_rows(const Stream&, View x, View rows, View y) {
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

void combine_rows(const Stream&, View x, View slots, View weights, bool accumulate, View y) {
  const Rows from = rows_of(x, {"combine_rows", "x"}), to = rows_of(y, -1, from.cols, {"combine_rows", "y"});
  const Slots s = slots_of(slots, to.rows, from.rows, "combine_rows");
  const float* weight = weights ? floats_of(weights, to.rows * s.k, {"combine_rows", "weights"}) : nullptr;
#pragma omp parallel for schedule(static) if (worth_threads(to.rows * to.cols * s.k))
  for (std::int64_t t = 0; t < to.rows; ++t) {
    float* b = to[t];
    if (!accumulate) std::fill_n(b, to.cols, 0.0f);
    for (std::int64_t j = t * s.k; j < (t + 1) * s.k; ++j) {
      if (s.index[j] < 0) continue;
      const float *a = from[s.index[j]], w = weight ? weight[j] : 1.0f;
#pragma omp simd
      for (std::int64_t i = 0; i < to.cols; ++i) b[i] += w * a[i];
    }
  }
}

void combine_rows_backward_weights(const Stream&, View dy, View x, View slots, View dweights) {
  const Rows d = rows_of(dy, {"combine_rows_backward_weights", "dy"});
  const Rows from = rows_of(x, -1, d.cols, {"combine_rows_backward_weights", "x"});
  const Slots s = slots_of(slots, d.rows, from.rows, "combine_rows_backward_weights");
  float* out = floats_of(dweights, d.rows * s.k, {"combine_rows_backward_weights", "dweights"});
#pragma omp parallel for schedule(static) if (worth_threads(d.rows * d.cols * s.k))
  for (std::int64_t t = 0; t < d.rows; ++t) {
    const float* b = d[t];
    for (std::int64_t j = t * s.k; j < (t + 1) * s.k; ++j) {
      float dot = 0;
      if (s.index[j] >= 0) {
        const float* a = from[s.index[j]];
#pragma omp simd reduction(+ : dot)
        for (std::int64_t i = 0; i < d.cols; ++i) dot += a[i] * b[i];
      }
      out[j] = dot;
    }
  }
}

void gather_rows_scaled(const Stream&, View dy, View rows, View scale, View dx) {
  const Rows from = rows_of(dy, {"gather_rows_scaled", "dy"}),
             to = rows_of(dx, -1, from.cols, {"gather_rows_scaled", "dx"});
  const std::int32_t* row = ints_of(rows, to.rows, {"gather_rows_scaled", "rows"});
  const float* factor = floats_of(scale, to.rows, {"gather_rows_scaled", "scale"});
  check_indices(row, to.rows, from.rows, {"gather_rows_scaled", "rows"});
#pragma omp parallel for schedule(static) if (worth_threads(to.rows * to.cols))
  for (std::int64_t r = 0; r < to.rows; ++r) {
    float* b = to[r];
    if (row[r] < 0) {
      std::fill_n(b, to.cols, 0.0f);
      continue;
    }
    const float *a = from[row[r]], f = factor[r];
#pragma omp simd
    for (std::int64_t i = 0; i < to.cols; ++i) b[i] = f * a[i];
  }
}

}  // namespace eddy::kernels
