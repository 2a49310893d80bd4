#pragma once
// What both ways to the experts' products share: where the matrices of each group of rows lie.
#include <algorithm>

#include "kernels/common/cuda.cuh"

namespace eddy::kernels::cuda {

/// Where group e's operand lies: element `data + first row · row_step + e · group_step`, `stride` elements from one
/// line to the next along the axis that is not contiguous.
template <class T>
struct GroupedOperand {
  T* data;
  std::int64_t row_step, group_step, stride;
};

/// What the groups' rows are in the product.
enum class RowsAre { m, k };

/// D_e [m, n] = A_e [m, k] · B_e [n, k]^T + beta · D_e over groups of rows [offsets[e], offsets[e + 1]). D's n axis is
/// contiguous; of A and B whichever the kernel is made for.
template <class In, class Out>
struct GroupedProblem {
  const std::int64_t* offsets;
  int groups;
  std::int64_t rows;  // that the grouped operands have: what offsets may not pass
  int m, n, k;        // the one along the groups' rows is not read
  GroupedOperand<const In> a, b;
  GroupedOperand<Out> d;
  float beta;
};

/// A: x, k contiguous. B: w, k contiguous where transpose_w, else n.
template <class T>
GroupedProblem<T, T> rows_problem(const View& x, const View& w, const View& offsets, const View& y) {
  GroupedProblem<T, T> p{};
  p.offsets = offsets.as<std::int64_t>();
  p.groups = static_cast<int>(w.shape[0]);
  p.rows = std::min(x.rows(), y.rows());
  p.n = static_cast<int>(y.cols());
  p.k = static_cast<int>(x.cols());
  p.a = {static_cast<const T*>(x.data), x.row_stride, 0, x.row_stride};
  p.b = {static_cast<const T*>(w.data), 0, w.row_stride, w.shape[2]};
  p.d = {static_cast<T*>(y.data), y.row_stride, 0, y.row_stride};
  return p;
}
/// A: dy, m contiguous. B: x, n contiguous.
template <class T>
GroupedProblem<T, float> weight_problem(const View& dy, const View& x, const View& offsets, const View& dw,
                                        float beta) {
  GroupedProblem<T, float> p{};
  p.offsets = offsets.as<std::int64_t>();
  p.groups = static_cast<int>(dw.shape[0]);
  p.rows = std::min(dy.rows(), x.rows());
  p.m = static_cast<int>(dw.shape[1]);
  p.n = static_cast<int>(dw.shape[2]);
  p.a = {static_cast<const T*>(dy.data), dy.row_stride, 0, dy.row_stride};
  p.b = {static_cast<const T*>(x.data), x.row_stride, 0, x.row_stride};
  p.d = {dw.f32(), 0, dw.row_stride, dw.shape[2]};
  p.beta = beta;
  return p;
}

struct GroupRows {
  std::int64_t begin, count;
};
/// Group e's rows; whatever the offsets say, they lie within the operands.
template <class Problem>
__device__ GroupRows group_rows(const Problem& p, int e) {
  const std::int64_t end = min(max(p.offsets[e + 1], std::int64_t{0}), p.rows);
  const std::int64_t begin = min(max(p.offsets[e], std::int64_t{0}), end);
  return {begin, end - begin};
}
template <class T>
__device__ T* group_data(const GroupedOperand<T>& operand, std::int64_t first_row, int e) {
  return operand.data + first_row * operand.row_step + e * operand.group_step;
}

}  // namespace eddy::kernels::cuda
