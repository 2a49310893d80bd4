#pragma once
// Tensors whose every element tells where it stands, cut into blocks in several ways.
#include <cstring>
#include <string>
#include <vector>

#include "tensor/slice.h"
#include "tensor/tensor.h"

namespace eddy_test {

/// Element `index` of the tensor `name`: whole, below 2^8, so that bf16 and u8 hold it too.
inline int element(const std::string& name, std::int64_t index) {
  return static_cast<int>((index * 7 + static_cast<std::int64_t>(name.size()) * 31 + index / 251) % 256);
}

inline void put(eddy::tensor::View view, std::int64_t at, int value) {
  using eddy::Dtype;
  const auto store = [&](auto v) {
    std::memcpy(static_cast<char*>(view.data) + static_cast<std::size_t>(at) * sizeof v, &v, sizeof v);
  };
  switch (view.dtype) {
    case Dtype::f32:
      return store(static_cast<float>(value));
    case Dtype::bf16:
      return store(eddy::float_to_bf16(static_cast<float>(value)));
    case Dtype::i64:
      return store(static_cast<std::int64_t>(value) - 128);
    default:
      return store(static_cast<std::uint8_t>(value));
  }
}

struct Block {
  eddy::tensor::Tensor data;
  eddy::tensor::Slice slice;
};

inline Block make_block(const std::string& name, eddy::Dtype dtype, const std::vector<std::int64_t>& shape,
                        const std::vector<std::int64_t>& begin, const std::vector<std::int64_t>& extent) {
  Block b{eddy::tensor::Tensor(eddy::tensor::Shape(extent), dtype), {name, shape, begin, {}}};
  b.slice.view = b.data.view();
  return b;
}

/// Sets a matrix's (or vector's) block to what belongs there.
inline void fill(Block& b) {
  const std::int64_t cols = b.slice.global_shape.size() > 1 ? b.slice.global_shape[1] : 1;
  const std::int64_t width = b.slice.begin.size() > 1 ? b.slice.view.shape[1] : 1,
                     first_col = b.slice.begin.size() > 1 ? b.slice.begin[1] : 0;
  for (std::int64_t r = 0; r < b.slice.view.shape[0]; ++r)
    for (std::int64_t c = 0; c < width; ++c)
      put(b.slice.view, r * width + c, element(b.slice.name, (b.slice.begin[0] + r) * cols + first_col + c));
}

inline bool same_bytes(const Block& a, const Block& b) {
  return a.slice.view.bytes() == b.slice.view.bytes() &&
         std::memcmp(a.slice.view.data, b.slice.view.data, a.slice.view.bytes()) == 0;
}

/// Part `i` of `n` of [0, size), the parts as equal as can be.
inline std::pair<std::int64_t, std::int64_t> part(std::int64_t size, int i, int n) {
  return {size * i / n, size * (i + 1) / n};
}

}  // namespace eddy_test
