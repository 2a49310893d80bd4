#include "kernels/grouped_gemm/grouped_gemm.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/common/checks.h"

namespace eddy::kernels {
namespace {

/// Expert e's matrix [N, K] of w [E, N, K].
View expert_matrix(const View& w, std::int64_t e) {
  return View(w.f32() + e * w.row_stride, w.dtype, {w.shape[1], w.shape[2]});
}

void check_groups(const char* op, const View& w, const char* w_name, std::span<const std::int64_t> offsets,
                  std::int64_t rows) {
  rows_of(w, {op, w_name});
  if (w.shape.rank() != 3 || offsets.size() != static_cast<std::size_t>(w.shape[0]) + 1)
    fail_run("{}: '{}' has shape {}, which does not fit {} offsets", op, w_name, w.shape.text(), offsets.size());
  for (std::size_t e = 0; e + 1 < offsets.size(); ++e)
    if (offsets[e] < 0 || offsets[e] > offsets[e + 1] || offsets[e + 1] > rows)
      fail_run("{}: expert {}'s rows [{}, {}) do not lie in [0, {})", op, e, offsets[e], offsets[e + 1], rows);
}

}  // namespace

void grouped_gemm(const Stream& stream, View x, View w, bool transpose_w, std::span<const std::int64_t> offsets,
                  View y) {
  check_groups("grouped_gemm", w, "w", offsets, std::min(x.rows(), y.rows()));
  for (std::int64_t e = 0; e < w.shape[0]; ++e) {
    const std::int64_t begin = offsets[static_cast<std::size_t>(e)], end = offsets[static_cast<std::size_t>(e) + 1];
    if (begin == end) continue;
    gemm(stream, x.row_range(begin, end), false, expert_matrix(w, e), transpose_w, y.row_range(begin, end));
  }
}

void grouped_gemm_backward_weight(const Stream& stream, View dy, View x, std::span<const std::int64_t> offsets,
                                  View dw) {
  check_groups("grouped_gemm_backward_weight", dw, "dw", offsets, std::min(dy.rows(), x.rows()));
  for (std::int64_t e = 0; e < dw.shape[0]; ++e) {
    const std::int64_t begin = offsets[static_cast<std::size_t>(e)], end = offsets[static_cast<std::size_t>(e) + 1];
    if (begin == end) continue;
    linear_backward_weight(stream, dy.row_range(begin, end), x.row_range(begin, end), expert_matrix(dw, e));
  }
}

}  // namespace eddy::kernels
