#include "checkpoint/dequantise.h"

#include <algorithm>

#include "base/error.h"
#include "hf/fp8.h"

namespace eddy::checkpoint {
namespace {

using Shape = std::vector<std::int64_t>;

/// `parts` matrices of [rows, cols] lie below one another in each entry of the first of three dimensions.
struct Stack {
  bool is_stack;
  std::int64_t parts, rows, cols;  ///< of one matrix
  Shape scales;                    ///< shape of the scale tensor
};
Stack stack_of(const std::string& name, const Shape& shape) {
  const bool stacked = shape.size() == 3;
  if (shape.size() != 2 && !stacked) fail_input("tensor '{}' is FP8 and no matrix", name);
  const std::int64_t parts = stacked && name.ends_with(".gate_up_proj") ? 2 : 1;
  const std::int64_t rows = shape[shape.size() - 2] / parts, cols = shape.back();
  Shape scales{parts * hf::fp8_blocks(rows), hf::fp8_blocks(cols)};
  if (stacked) scales.insert(scales.begin(), shape[0]);
  return {stacked, parts, rows, cols, scales};
}

}  // namespace

void read_dequantised(const Checkpoint& checkpoint, const tensor::Slice& s) {
  const Stack stack = stack_of(s.name, s.global_shape);
  const std::string scale_name = hf::scale_name(s.name);
  if (!checkpoint.has(scale_name))
    fail_input("{}: tensor '{}' is FP8, but its scales '{}' are missing", checkpoint.path().string(), s.name,
               scale_name);
  const std::size_t axis = stack.is_stack ? 1 : 0;  // the rows'
  const Shape extent = s.view.shape.vector();
  const std::int64_t first = s.begin[axis], count = extent[axis], col = s.begin[axis + 1], width = extent[axis + 1];
  const std::int64_t entries = stack.is_stack ? extent[0] : 1;
  const std::int64_t across = hf::fp8_blocks(stack.cols), down = hf::fp8_blocks(stack.rows);
  std::vector<float> scales(static_cast<std::size_t>(stack.parts * down * across));
  std::vector<std::uint8_t> q(static_cast<std::size_t>(count * width));
  float* out = s.view.f32();
  for (std::int64_t e = 0; e < entries; ++e) {
    Shape begin = s.begin, one = extent, scale_begin(stack.scales.size(), 0), scale_one = stack.scales;
    if (stack.is_stack) {
      begin[0] = scale_begin[0] = s.begin[0] + e;
      one[0] = scale_one[0] = 1;
    }
    checkpoint.read({s.name, s.global_shape, begin, tensor::View(q.data(), Dtype::f8e4m3, tensor::Shape(one))});
    checkpoint.read(
        {scale_name, stack.scales, scale_begin, tensor::View(scales.data(), Dtype::f32, tensor::Shape(scale_one))});
    for (std::int64_t r = 0; r < count; ++r) {
      const std::int64_t part = (first + r) / stack.rows, row = (first + r) % stack.rows;
      hf::dequantise(q.data() + r * width, scales.data() + part * down * across, stack.cols, row * stack.cols + col,
                     width, out + (e * count + r) * width);
    }
  }
}

}  // namespace eddy::checkpoint
