#pragma once
// Matrices for the kernel tests: float32 storage with room between the rows, seen in double by the reference formulas.
#include <cmath>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <vector>

#include "base/rng.h"
#include "tensor/view.h"

namespace eddy_test {
using eddy::Dtype;
using eddy::tensor::Shape;
using eddy::tensor::View;
using Doubles = std::vector<double>;

inline constexpr double kUlp = 0x1p-23;  // float32's relative spacing

/// [rows, cols] floats, rows `cols + gap` apart; the gaps hold a mark that no kernel may touch.
class Block {
 public:
  Block(std::int64_t rows, std::int64_t cols, std::int64_t gap = 0, float value = 0)
      : rows_(rows), cols_(cols), stride_(cols + gap), data_(static_cast<std::size_t>(rows * (cols + gap)), kMark) {
    for (std::int64_t i = 0; i < rows * cols; ++i) at(i) = value;
  }
  Block(std::int64_t rows, std::int64_t cols, std::initializer_list<float> values) : Block(rows, cols) {
    data_.assign(values);
  }
  /// Standard normal values times `scale`, a function of the seed alone.
  static Block random(std::int64_t rows, std::int64_t cols, std::uint64_t seed, std::int64_t gap = 0,
                      double scale = 1) {
    Block b(rows, cols, gap);
    for (std::int64_t i = 0; i < rows * cols; ++i)
      b.at(i) = static_cast<float>(scale * eddy::normal2(eddy::philox(seed, static_cast<std::uint64_t>(i)))[0]);
    return b;
  }
  View view() {
    View v(data_.data(), Dtype::f32, {rows_, cols_});
    v.row_stride = stride_;
    return v;
  }
  View flat() { return View(data_.data(), Dtype::f32, {rows_ * cols_}); }  ///< only where there is no gap
  operator View() { return view(); }                                       // NOLINT
  float& at(std::int64_t i) { return data_[static_cast<std::size_t>(i / cols_ * stride_ + i % cols_)]; }
  float& operator()(std::int64_t r, std::int64_t c) { return at(r * cols_ + c); }
  std::vector<float> floats() {
    std::vector<float> out;
    for (std::int64_t i = 0; i < rows_ * cols_; ++i) out.push_back(at(i));
    return out;
  }
  Doubles doubles() {
    const auto f = floats();
    return {f.begin(), f.end()};
  }
  bool gaps_untouched() const {
    for (std::int64_t r = 0; r < rows_; ++r)
      for (std::int64_t c = cols_; c < stride_; ++c)
        if (data_[static_cast<std::size_t>(r * stride_ + c)] != kMark) return false;
    return true;
  }
  std::int64_t rows() const { return rows_; }
  std::int64_t cols() const { return cols_; }

 private:
  static constexpr float kMark = 54321.0f;
  std::int64_t rows_, cols_, stride_;
  std::vector<float> data_;
};

inline View ints(std::vector<std::int32_t>& v) {
  return View(v.data(), Dtype::i32, {static_cast<std::int64_t>(v.size())});
}
inline View ints(std::vector<std::int32_t>& v, std::int64_t rows, std::int64_t cols) {
  return View(v.data(), Dtype::i32, {rows, cols});
}
inline View bytes(std::vector<std::uint8_t>& v) {
  return View(v.data(), Dtype::u8, {static_cast<std::int64_t>(v.size())});
}

/// ‖a - b‖ / ‖b‖ (‖a‖ where b is 0); infinite for other sizes or NaN, so that a comparison with it fails.
inline double distance(const Doubles& a, const Doubles& b) {
  if (a.size() != b.size()) return HUGE_VAL;
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  const double d = norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
  return std::isnan(d) ? HUGE_VAL : d;
}

/// ∂f/∂x at x by central differences in double. With step h = 1e-5 and inputs of order 1 the truncation error is of
/// order h² = 1e-10 and the rounding error of order 1e-16 / h = 1e-11 of the value: far below float32's kUlp.
inline Doubles finite_differences(const std::function<double(const Doubles&)>& f, Doubles x) {
  constexpr double kStep = 1e-5;
  Doubles gradient;
  for (double& v : x) {
    const double keep = v;
    v = keep + kStep;
    const double up = f(x);
    v = keep - kStep;
    const double down = f(x);
    v = keep;
    gradient.push_back((up - down) / (2 * kStep));
  }
  return gradient;
}

inline double dot(const Doubles& a, const Doubles& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace eddy_test
