#include "tensor/tensor.h"

#include <cstdlib>
#include <cstring>
#include <new>

namespace eddy::tensor {

void Tensor::Free::operator()(void* p) const {
  std::free(p);
}

Tensor::Tensor(const Shape& shape, Dtype dtype) : view_(nullptr, dtype, shape) {
  const std::size_t bytes = (view_.bytes() + 63) / 64 * 64;
  data_.reset(std::aligned_alloc(64, bytes ? bytes : 64));
  if (!data_) throw std::bad_alloc();
  view_.data = data_.get();
}
Tensor Tensor::zeros(const Shape& shape, Dtype dtype) {
  Tensor t(shape, dtype);
  t.fill_zero();
  return t;
}
void Tensor::fill_zero() {
  std::memset(view_.data, 0, view_.bytes());
}
Tensor Tensor::clone() const {
  if (!data_) return {};
  Tensor t(shape(), view_.dtype);
  std::memcpy(t.view_.data, view_.data, view_.bytes());
  return t;
}

}  // namespace eddy::tensor
