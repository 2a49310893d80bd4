#pragma once
#include <memory>
#include <utility>

#include "device/stream.h"
#include "tensor/view.h"

namespace eddy::tensor {

/// Owns its elements (64-byte aligned), move-only. An empty Tensor has no data and 0 bytes. In a GPU's memory it is a
/// range of its stream's arena: destroyed, the range serves later work on that stream.
class Tensor {
 public:
  Tensor() = default;
  /// Elements not initialised. On the GPU when `stream` runs there.
  Tensor(const Shape& shape, Dtype dtype = Dtype::f32, const device::Stream& stream = {});
  static Tensor zeros(const Shape& shape, Dtype dtype = Dtype::f32, const device::Stream& stream = {});
  Tensor(Tensor&&) noexcept = default;
  Tensor& operator=(Tensor&&) noexcept = default;

  View view() const { return view_; }
  operator View() const { return view_; }  // NOLINT: a tensor is used wherever a view is
  explicit operator bool() const { return data_ != nullptr; }
  const Shape& shape() const { return view_.shape; }
  std::size_t bytes() const { return data_ ? view_.bytes() : 0; }
  float* f32() const { return view_.f32(); }
  std::int32_t* i32() const { return view_.i32(); }
  void fill_zero();  ///< in the order of the stream it was made for
  void reset() { *this = Tensor(); }

 private:
  struct Free {
    device::Stream stream;
    void operator()(void* p) const;
  };
  std::unique_ptr<void, Free> data_;
  View view_;
};

/// The elements (contiguous) in host memory; waits for the stream. On the CPU a copy.
Tensor to_host(const device::Stream& stream, View view);
/// The elements (contiguous host memory) where the stream runs. On the CPU a copy.
Tensor to_device(const device::Stream& stream, View view);
/// Host float32 elements into `to` where the stream runs, rounded to its type (float32 or bf16). Both contiguous.
void put(const device::Stream& stream, View host, View to);
/// The reverse: float32 or bf16 elements where the stream runs, as float32 in host memory.
void get(const device::Stream& stream, View from, View host);

}  // namespace eddy::tensor
