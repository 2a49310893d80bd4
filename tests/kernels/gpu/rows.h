#pragma once
// Rows inside wider rows, and how they differ: for tests of kernels that move rows.
#include <string>

#include "gpu_test.h"

namespace eddy_test {

/// The columns between two gaps.
inline View inner(const Tensor& t, std::int64_t gap) {
  return t.view().col_range(gap, t.shape()[1] - gap);
}
inline Tensor filled(const Shape& shape, float value) {
  Tensor t(shape);
  for (std::int64_t i = 0; i < t.view().numel(); ++i) t.f32()[i] = value;
  return t;
}
/// Where two float32 matrices differ first, and how; empty where they do not.
inline std::string first_difference(View actual, View expected) {
  for (std::int64_t i = 0; i < expected.numel(); ++i)
    if (!(actual.f32()[i] == expected.f32()[i]))
      return "[" + std::to_string(i / expected.cols()) + ", " + std::to_string(i % expected.cols()) + "] is " +
             std::to_string(actual.f32()[i]) + ", not " + std::to_string(expected.f32()[i]);
  return "";
}

}  // namespace eddy_test
