#include "tensor/tensor.h"

#include <cstdlib>
#include <new>

namespace eddy::tensor {

void Tensor::Free::operator()(void* p) const {
  if (stream.on_gpu())
    stream.arena()->give(p);
  else
    std::free(p);
}

Tensor::Tensor(const Shape& shape, Dtype dtype, const device::Stream& stream)
    : data_(nullptr, Free{stream}), view_(nullptr, dtype, shape) {
  const std::size_t bytes = (view_.bytes() + 63) / 64 * 64;
  if (stream.on_gpu()) {
    data_.reset(stream.arena()->take(bytes));
  } else {
    data_.reset(std::aligned_alloc(64, bytes ? bytes : 64));
    if (!data_) throw std::bad_alloc();
  }
  view_.data = data_.get();
}
Tensor Tensor::zeros(const Shape& shape, Dtype dtype, const device::Stream& stream) {
  Tensor t(shape, dtype, stream);
  t.fill_zero();
  return t;
}
void Tensor::fill_zero() {
  device::zero(data_.get_deleter().stream, view_.data, view_.bytes());
}

Tensor to_host(const device::Stream& stream, View view) {
  Tensor t(view.shape, view.dtype);
  device::copy_to_host(stream, view.data, t.view().data, view.bytes());
  return t;
}
Tensor to_device(const device::Stream& stream, View view) {
  Tensor t(view.shape, view.dtype, stream);
  device::copy_to_device(stream, view.data, t.view().data, view.bytes());
  return t;
}

}  // namespace eddy::tensor
