#include "kernels/common/checks.h"

#include "base/error.h"

namespace eddy::kernels {
namespace {

template <class T>
T* contiguous_of(const View& view, std::int64_t n, Argument a) {
  if (view.dtype != dtype_of<T>)
    fail_run("{} needs '{}' as {}, not {} (shape {})", a.op, a.name, name_of(dtype_of<T>), name_of(view.dtype),
             view.shape.text());
  if (view.numel() != n || !view.contiguous())
    fail_run("{}: '{}' must hold {} contiguous elements; it has shape {} and row stride {}", a.op, a.name, n,
             view.shape.text(), view.row_stride);
  return view.as<T>();
}

}  // namespace

Rows rows_of(const View& view, Argument a) {
  return rows_of(view, -1, -1, a);
}

Rows rows_of(const View& view, std::int64_t rows, std::int64_t cols, Argument a) {
  if (view.dtype != Dtype::f32)
    fail_run("{} on the CPU needs '{}' as f32, not {} (shape {})", a.op, a.name, name_of(view.dtype),
             view.shape.text());
  check_rows(view, rows, cols, a);
  return {view.f32(), view.rows(), view.cols(), view.row_stride};
}

void check_rows(const View& view, std::int64_t rows, std::int64_t cols, Argument a) {
  if (view.shape.rank() < 1) fail_run("{}: '{}' is empty or has no axes", a.op, a.name);
  if ((rows >= 0 && view.rows() != rows) || (cols >= 0 && view.cols() != cols))
    fail_run("{}: '{}' has shape {}; expected {} rows of {} (-1: any)", a.op, a.name, view.shape.text(), rows, cols);
}

float* floats_of(const View& view, std::int64_t n, Argument a) {
  return contiguous_of<float>(view, n, a);
}
double* doubles_of(const View& view, std::int64_t n, Argument a) {
  return contiguous_of<double>(view, n, a);
}
std::int32_t* ints_of(const View& view, std::int64_t n, Argument a) {
  return contiguous_of<std::int32_t>(view, n, a);
}
std::int64_t* longs_of(const View& view, std::int64_t n, Argument a) {
  return contiguous_of<std::int64_t>(view, n, a);
}
std::uint8_t* bytes_of(const View& view, std::int64_t n, Argument a) {
  return contiguous_of<std::uint8_t>(view, n, a);
}

void check_indices(const std::int32_t* indices, std::int64_t n, std::int64_t end, Argument a) {
  for (std::int64_t i = 0; i < n; ++i)
    if (indices[i] < -1 || indices[i] >= end)
      fail_run("{}: '{}'[{}] is {}, outside [0, {}) and not -1", a.op, a.name, i, indices[i], end);
}

}  // namespace eddy::kernels
