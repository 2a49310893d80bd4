#include "kernels/grouped_gemm/grouped_gemm.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/common/checks.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/grouped_gemm/grouped_gemm_cuda.h"

namespace eddy::kernels {
namespace {

/// Expert e's matrix [N, K] of w [E, N, K].
View expert_matrix(const View& w, std::int64_t e) {
  return View(w.f32() + e * w.row_stride, w.dtype, {w.shape[1], w.shape[2]});
}

/// The offsets, checked: those of `w`'s experts, within `rows`.
const std::int64_t* check_groups(const char* op, const View& w, const char* w_name, const View& offsets,
                                 std::int64_t rows) {
  rows_of(w, {op, w_name});
  if (w.shape.rank() != 3 || offsets.numel() != w.shape[0] + 1)
    fail_run("{}: '{}' has shape {}, which does not fit {} offsets", op, w_name, w.shape.text(), offsets.numel());
  const std::int64_t* at = longs_of(offsets, w.shape[0] + 1, {op, "offsets"});
  for (std::int64_t e = 0; e < w.shape[0]; ++e)
    if (at[e] < 0 || at[e] > at[e + 1] || at[e + 1] > rows)
      fail_run("{}: expert {}'s rows [{}, {}) do not lie in [0, {})", op, e, at[e], at[e + 1], rows);
  return at;
}

}  // namespace

void grouped_gemm(const Stream& stream, View x, View w, bool transpose_w, View offsets, View y) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::grouped_gemm(stream, x, w, transpose_w, offsets, y);
  const std::int64_t* at = check_groups("grouped_gemm", w, "w", offsets, std::min(x.rows(), y.rows()));
  for (std::int64_t e = 0; e < w.shape[0]; ++e) {
    if (at[e] == at[e + 1]) continue;
    gemm(stream, x.row_range(at[e], at[e + 1]), false, expert_matrix(w, e), transpose_w, y.row_range(at[e], at[e + 1]));
  }
}

void grouped_gemm_backward_weight(const Stream& stream, View dy, View x, View offsets, View dw, float beta) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::grouped_gemm_backward_weight(stream, dy, x, offsets, dw, beta);
  const std::int64_t* at =
      check_groups("grouped_gemm_backward_weight", dw, "dw", offsets, std::min(dy.rows(), x.rows()));
  for (std::int64_t e = 0; e < dw.shape[0]; ++e) {
    const View own = expert_matrix(dw, e);
    if (at[e] < at[e + 1])
      linear_backward_weight(stream, dy.row_range(at[e], at[e + 1]), x.row_range(at[e], at[e + 1]), own, beta);
    else if (beta == 0)
      fill(stream, own, 0);
  }
}

}  // namespace eddy::kernels
