#include <algorithm>
#include <limits>

#include "base/error.h"
#include "kernels/common/blas.h"
#include "kernels/common/checks.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/gemm/gemm.h"
#include "kernels/gemm/gemm_cuda.h"

namespace eddy::kernels {
namespace {
// Up to here a vector product for each row is faster than one of matrices (measured: 6.5 times for one row, equal at
// four).
constexpr std::int64_t kFewRows = 3;
}  // namespace

void gemm(const Stream& stream, View a, bool transpose_a, View b, bool transpose_b, View c, float alpha, float beta,
          View d) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::gemm(stream, a, transpose_a, b, transpose_b, c, alpha, beta, d);
  const Rows x = rows_of(a, {"gemm", "a"}), y = rows_of(b, {"gemm", "b"}), z = rows_of(c, {"gemm", "c"});
  const std::int64_t m = transpose_a ? x.cols : x.rows, k = transpose_a ? x.rows : x.cols;
  const std::int64_t k_b = transpose_b ? y.cols : y.rows, n = transpose_b ? y.rows : y.cols;
  if (z.rows != m || z.cols != n || k_b != k)
    fail_run("gemm: a {}{} times b {}{} does not give c {}", a.shape.text(), transpose_a ? "^T" : "", b.shape.text(),
             transpose_b ? "^T" : "", c.shape.text());
  // A view of one row may carry any stride; BLAS wants at least the row's length.
  const std::int64_t x_stride = std::max(x.stride, x.cols), y_stride = std::max(y.stride, y.cols),
                     z_stride = std::max(z.stride, z.cols);
  if (m == 0 || n == 0) return;
  if (d && beta != 0 && d.data != c.data) copy(stream, d, c);
  if (std::max({m, n, k, x_stride, y_stride, z_stride}) > std::numeric_limits<blasint>::max())
    fail_run("gemm: a {}, b {}: extents and strides must stay below 2^31", a.shape.text(), b.shape.text());
  if (k == 0) {
    for (std::int64_t r = 0; r < m; ++r)
      for (std::int64_t i = 0; i < n; ++i) z[r][i] = beta == 0 ? 0 : beta * z[r][i];
    return;
  }
  if (m <= kFewRows) {
    for (std::int64_t r = 0; r < m; ++r)
      sgemv(n, k, alpha, transpose_a ? x.data + r : x[r], transpose_a ? x_stride : 1, {y.data, y_stride, transpose_b},
            beta, z[r]);
    return;
  }
  sgemm(m, n, k, alpha, {x.data, x_stride, transpose_a}, {y.data, y_stride, transpose_b}, beta, z.data, z_stride);
}

}  // namespace eddy::kernels
