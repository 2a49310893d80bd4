#include "kernels/elementwise/elementwise.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "kernels/common/checks.h"
#include "kernels/elementwise/elementwise_cuda.h"

namespace eddy::kernels {
namespace {

constexpr std::int64_t kRun = 16384;  // elements one loop iteration handles where rows are long

/// Calls f(row, first column, columns) over a matrix cut into runs, in parallel where that pays. Contiguous matrices
/// count as one row: pass rows = 1.
template <class F>
void for_runs(std::int64_t rows, std::int64_t cols, F f) {
  const std::int64_t runs = (cols + kRun - 1) / kRun;
#pragma omp parallel for schedule(static) if (worth_threads(rows * cols))
  for (std::int64_t i = 0; i < rows * runs; ++i) {
    const std::int64_t row = i / runs, begin = i % runs * kRun;
    f(row, begin, std::min(kRun, cols - begin));
  }
}

/// A contiguous matrix as one long row.
Rows flattened(Rows m, bool contiguous) {
  if (!contiguous) return m;
  return {m.data, 1, m.rows * m.cols, m.rows * m.cols};
}

void check_same(const View& a, const View& b, const char* op) {
  if (!(a.shape == b.shape)) fail_run("{}: the shapes {} and {} differ", op, a.shape.text(), b.shape.text());
}

}  // namespace

void add(const Stream& stream, View x, View y) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::add(stream, x, y);
  check_same(x, y, "add");
  const auto add_of = [&]<class T>(T) {
    const T* from = x.as<T>();
    T* to = y.as<T>();
    const bool flat = x.contiguous() && y.contiguous();
    for_runs(flat ? 1 : x.rows(), flat ? x.numel() : x.cols(), [&](std::int64_t r, std::int64_t begin, std::int64_t n) {
      const T* a = from + r * x.row_stride + begin;
      T* b = to + r * y.row_stride + begin;
#pragma omp simd
      for (std::int64_t i = 0; i < n; ++i) b[i] += a[i];
    });
  };
  if (y.dtype == Dtype::i64) return add_of(std::int64_t{});
  rows_of(x, {"add", "x"}), rows_of(y, {"add", "y"});  // what else they may be
  add_of(float{});
}

void scale(const Stream& stream, View x, float factor) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::scale(stream, x, factor);
  const Rows m = flattened(rows_of(x, {"scale", "x"}), x.contiguous());
  for_runs(m.rows, m.cols, [&](std::int64_t r, std::int64_t begin, std::int64_t n) {
    float* a = m[r] + begin;
    for (std::int64_t i = 0; i < n; ++i) a[i] *= factor;
  });
}

void copy(const Stream& stream, View from, View to) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::copy(stream, from, to);
  check_same(from, to, "copy");
  if (from.dtype != to.dtype) fail_run("copy: the data types {} and {} differ", name_of(from.dtype), name_of(to.dtype));
  const auto size = static_cast<std::int64_t>(size_of(from.dtype));
  const bool flat = from.contiguous() && to.contiguous();
  const std::int64_t rows = flat ? 1 : from.rows(), cols = flat ? from.numel() : from.cols();
  const auto* source = static_cast<const char*>(from.data);
  auto* target = static_cast<char*>(to.data);
  for_runs(rows, cols, [&](std::int64_t r, std::int64_t begin, std::int64_t n) {
    std::memcpy(target + (r * to.row_stride + begin) * size, source + (r * from.row_stride + begin) * size,
                static_cast<std::size_t>(n * size));
  });
}

void fill(const Stream& stream, View x, float value) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::fill(stream, x, value);
  const auto fill_of = [&]<class T>(T v) {
    T* data = x.as<T>();
    const bool flat = x.contiguous();
    for_runs(flat ? 1 : x.rows(), flat ? x.numel() : x.cols(), [&](std::int64_t r, std::int64_t begin, std::int64_t n) {
      std::fill_n(data + r * x.row_stride + begin, n, v);
    });
  };
  if (x.dtype == Dtype::i32) return fill_of(static_cast<std::int32_t>(value));
  rows_of(x, {"fill", "x"});  // what else it may be
  fill_of(value);
}

}  // namespace eddy::kernels
