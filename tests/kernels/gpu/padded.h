#pragma once
// A matrix in the GPU's memory with room between its rows, as kernels meet columns of a wider one.
#include <algorithm>

#include "gpu_test.h"

namespace eddy_test {

/// [rows, cols] of float32 or bf16 on the GPU, `gap` elements between the rows and behind the last.
class Padded {
 public:
  /// Holds the host's float32 values.
  Padded(const eddy::device::Stream& gpu, View host, Dtype dtype = Dtype::f32, std::int64_t gap = 0)
      : gpu_(gpu), rows_(host.rows()), cols_(host.cols()) {
    Tensor wide({rows_, cols_ + gap});
    for (std::int64_t r = 0; r < rows_; ++r)
      for (std::int64_t c = 0; c < cols_ + gap; ++c)
        wide.f32()[r * (cols_ + gap) + c] = c < cols_ ? host.f32()[r * cols_ + c] : kMark;
    all_ = upload(gpu, wide, dtype);
  }
  /// Holds NaN, so that what is not written shows.
  static Padded poisoned(const eddy::device::Stream& gpu, std::int64_t rows, std::int64_t cols,
                         Dtype dtype = Dtype::f32, std::int64_t gap = 0) {
    Tensor host({rows, cols});
    for (std::int64_t i = 0; i < rows * cols; ++i) host.f32()[i] = NAN;
    return Padded(gpu, host, dtype, gap);
  }

  View view() const { return all_.view().col_range(0, cols_); }
  operator View() const { return view(); }  // NOLINT: used wherever a view is
  /// The elements as host float32 [rows, cols]. Fails the test where something between the rows was written.
  Tensor host() const {
    const Tensor wide = download(gpu_, all_);
    const std::int64_t stride = wide.view().cols();
    Tensor out({rows_, cols_});
    bool untouched = true;
    for (std::int64_t r = 0; r < rows_; ++r)
      for (std::int64_t c = 0; c < stride; ++c) {
        const float value = wide.f32()[r * stride + c];
        if (c < cols_)
          out.f32()[r * cols_ + c] = value;
        else
          untouched = untouched && value == kMark;
      }
    CHECK(untouched);
    return out;
  }

 private:
  static constexpr float kMark = 512;  // bf16 holds it exactly
  eddy::device::Stream gpu_;
  std::int64_t rows_, cols_;
  Tensor all_;
};

/// The same bits? (NaN included)
inline bool same_bits(View a, View b) {
  if (!(a.shape == b.shape) || a.dtype != b.dtype) return false;
  const auto *x = static_cast<const unsigned char*>(a.data), *y = static_cast<const unsigned char*>(b.data);
  return std::equal(x, x + a.bytes(), y);
}
/// A host copy of contiguous host elements.
inline Tensor copy_of(View host) {
  return eddy::tensor::to_host({}, host);
}
/// Every element as `dtype` holds it.
inline void round_to(View host, Dtype dtype) {
  if (dtype != Dtype::bf16) return;
  for (std::int64_t i = 0; i < host.numel(); ++i)
    host.f32()[i] = eddy::bf16_to_float(eddy::float_to_bf16(host.f32()[i]));
}

}  // namespace eddy_test
