#pragma once
// A shape and a pointer: what kernels and collectives see. A View owns nothing and protects nothing.
#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "base/dtype.h"

namespace eddy::tensor {

/// Up to four extents, outermost first.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims);
  explicit Shape(const std::vector<std::int64_t>& dims);
  int rank() const { return rank_; }
  std::int64_t operator[](int i) const { return dims_[static_cast<std::size_t>(i)]; }
  std::int64_t numel() const {
    std::int64_t n = 1;
    for (int i = 0; i < rank_; ++i) n *= (*this)[i];
    return n;
  }
  bool operator==(const Shape& o) const;
  std::string text() const;  ///< "[2, 3]"
  std::vector<std::int64_t> vector() const { return {dims_.begin(), dims_.begin() + rank_}; }

 private:
  std::array<std::int64_t, 4> dims_{};
  int rank_ = 0;
};

/// Row-major elements at `data`; `row_stride` elements lie between successive rows (entries of the first axis), so a
/// View can be a block of columns of a wider matrix. Inside a row elements are contiguous.
struct View {
  void* data = nullptr;
  Dtype dtype = Dtype::f32;
  Shape shape;
  std::int64_t row_stride = 0;

  View() = default;
  View(void* d, Dtype t, const Shape& s)
      : data(d), dtype(t), shape(s), row_stride(s.rank() ? (s[0] ? s.numel() / s[0] : 0) : 1) {}

  explicit operator bool() const { return data != nullptr; }
  std::int64_t numel() const { return shape.numel(); }
  std::size_t bytes() const { return static_cast<std::size_t>(numel()) * size_of(dtype); }
  std::int64_t rows() const { return shape[0]; }
  std::int64_t cols() const {
    return shape[0] ? numel() / shape[0] : (shape.rank() > 1 ? shape[1] : 1);
  }  ///< elements in a row
  bool contiguous() const { return shape.rank() == 0 || row_stride == cols() || shape[0] <= 1; }
  template <class T>
  T* as() const {
    if (dtype_of<T> != dtype) wrong_type(dtype_of<T>);
    return static_cast<T*>(data);
  }
  float* f32() const { return as<float>(); }
  std::int32_t* i32() const { return as<std::int32_t>(); }

  View row_range(std::int64_t begin, std::int64_t end) const;  ///< rows [begin, end)
  View col_range(std::int64_t begin, std::int64_t end) const;  ///< columns [begin, end) of a matrix; keeps row_stride
  View reshape(const Shape& s) const;                          ///< the same contiguous elements in another shape
  [[noreturn]] void wrong_type(Dtype asked) const;
};

}  // namespace eddy::tensor
