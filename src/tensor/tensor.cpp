#include "tensor/tensor.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <vector>

#include "base/error.h"

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

namespace {
/// Elements moved at a time where the type changes on the way.
constexpr std::int64_t kPart = std::int64_t{1} << 24;

void check_ends(const View& host, const View& there) {
  if (host.dtype != Dtype::f32 || host.numel() != there.numel() || !host.contiguous() || !there.contiguous() ||
      (there.dtype != Dtype::f32 && there.dtype != Dtype::bf16))
    fail_run("host {} {} does not go with {} {}", name_of(host.dtype), host.shape.text(), name_of(there.dtype),
             there.shape.text());
}
}  // namespace

void put(const device::Stream& stream, View host, View to) {
  check_ends(host, to);
  if (to.dtype == Dtype::f32) return device::copy_to_device(stream, host.data, to.data, host.bytes());
  auto* target = static_cast<std::uint16_t*>(to.data);
  const std::int64_t n = host.numel();
  std::vector<std::uint16_t> part(static_cast<std::size_t>(std::min(n, kPart)));
  for (std::int64_t at = 0; at < n; at += kPart) {
    const std::int64_t count = std::min(kPart, n - at);
    const float* from = host.f32() + at;
#pragma omp parallel for schedule(static)
    for (std::int64_t i = 0; i < count; ++i) part[static_cast<std::size_t>(i)] = float_to_bf16(from[i]);
    device::copy_to_device(stream, part.data(), target + at, static_cast<std::size_t>(count) * 2);
  }
}
void get(const device::Stream& stream, View from, View host) {
  check_ends(host, from);
  if (from.dtype == Dtype::f32) return device::copy_to_host(stream, from.data, host.data, from.bytes());
  const auto* source = static_cast<const std::uint16_t*>(from.data);
  const std::int64_t n = host.numel();
  std::vector<std::uint16_t> part(static_cast<std::size_t>(std::min(n, kPart)));
  for (std::int64_t at = 0; at < n; at += kPart) {
    const std::int64_t count = std::min(kPart, n - at);
    device::copy_to_host(stream, source + at, part.data(), static_cast<std::size_t>(count) * 2);
    float* to = host.f32() + at;
#pragma omp parallel for schedule(static)
    for (std::int64_t i = 0; i < count; ++i) to[i] = bf16_to_float(part[static_cast<std::size_t>(i)]);
  }
}

}  // namespace eddy::tensor
