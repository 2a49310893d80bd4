#pragma once
// What every kernel asks of its views. A wrong view is a fault of the caller, so these fail with status 1. All but
// check_indices look only at the view, not at its elements, so CUDA's launchers use them too.
#include <cstdint>

#include "tensor/view.h"

namespace eddy::kernels {
using tensor::View;

/// Where an error arose: the operation, and the argument as its header names it.
struct Argument {
  const char* op;
  const char* name;
};

/// A float32 view as loops see it: `rows` runs of `cols` contiguous elements, `stride` elements apart.
struct Rows {
  float* data = nullptr;
  std::int64_t rows = 0, cols = 0, stride = 0;
  float* operator[](std::int64_t r) const { return data + r * stride; }
};

/// The rows of a float32 view (entries of its first axis); row_stride is honoured.
Rows rows_of(const View& view, Argument argument);
/// The same with the extents checked; -1 accepts any.
Rows rows_of(const View& view, std::int64_t rows, std::int64_t cols, Argument argument);
/// Fails unless the view, of any type, has these extents; -1 accepts any.
void check_rows(const View& view, std::int64_t rows, std::int64_t cols, Argument argument);
/// `n` contiguous float32 elements.
float* floats_of(const View& view, std::int64_t n, Argument argument);
/// `n` contiguous float64 elements.
double* doubles_of(const View& view, std::int64_t n, Argument argument);
/// `n` contiguous int64 elements.
std::int64_t* longs_of(const View& view, std::int64_t n, Argument argument);
/// `n` contiguous int32 elements.
std::int32_t* ints_of(const View& view, std::int64_t n, Argument argument);
/// `n` contiguous uint8 elements.
std::uint8_t* bytes_of(const View& view, std::int64_t n, Argument argument);
/// Fails unless each of the n indices (host memory) is -1 or lies in [0, end).
void check_indices(const std::int32_t* indices, std::int64_t n, std::int64_t end, Argument argument);

/// Whether a loop over this many elements gains from more than one thread (a parallel region costs some microseconds).
constexpr bool worth_threads(std::int64_t elements) {
  return elements >= 32768;
}

}  // namespace eddy::kernels
