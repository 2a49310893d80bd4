#pragma once
#include <memory>
#include <utility>

#include "tensor/view.h"

namespace eddy::tensor {

/// Owns its elements (64-byte aligned), move-only. An empty Tensor has no data and 0 bytes.
class Tensor {
 public:
  Tensor() = default;
  Tensor(const Shape& shape, Dtype dtype = Dtype::f32);  ///< elements not initialised
  static Tensor zeros(const Shape& shape, Dtype dtype = Dtype::f32);
  Tensor(Tensor&&) noexcept = default;
  Tensor& operator=(Tensor&&) noexcept = default;

  View view() const { return view_; }
  operator View() const { return view_; }  // NOLINT: a tensor is used wherever a view is
  explicit operator bool() const { return data_ != nullptr; }
  const Shape& shape() const { return view_.shape; }
  std::size_t bytes() const { return data_ ? view_.bytes() : 0; }
  float* f32() const { return view_.f32(); }
  std::int32_t* i32() const { return view_.i32(); }
  void fill_zero();
  void reset() { *this = Tensor(); }
  Tensor clone() const;

 private:
  struct Free {
    void operator()(void* p) const;
  };
  std::unique_ptr<void, Free> data_;
  View view_;
};

}  // namespace eddy::tensor
