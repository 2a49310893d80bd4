#pragma once
// FP8 weights as DeepSeek publishes them: e4m3 ("E4M3FN": no infinities, largest 448) with one float32 scale for every
// 128 x 128 block of a matrix, `weight_scale_inv` [ceil(rows / 128), ceil(cols / 128)]; blocks at the lower and right
// edge are smaller. value = q * scale, multiplied in float32 and rounded to the nearest bfloat16, ties to even: what
// DeepSeek-V3's inference/fp8_cast_bf16.py and kernel.py (weight_dequant) compute. The loops are written so that the
// compiler vectorises them.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"

namespace eddy::hf {

constexpr std::int64_t kFp8Block = 128;
constexpr float kFp8Largest = 448;

/// Blocks along an axis of this many elements.
constexpr std::int64_t fp8_blocks(std::int64_t extent) {
  return (extent + kFp8Block - 1) / kFp8Block;
}
/// The shape of the scales of a [rows, cols] matrix.
inline std::vector<std::int64_t> fp8_scale_shape(const std::vector<std::int64_t>& shape) {
  return {fp8_blocks(shape.at(0)), fp8_blocks(shape.at(1))};
}
/// "….weight" → "….weight_scale_inv"
inline std::string scale_name(const std::string& weight) {
  return weight + "_scale_inv";
}
/// The weight's name of a scale's, or "" for other tensors.
std::string weight_of_scale(const std::string& name);
/// Is this one of the matrices that DeepSeek quantises: projections of attention, dense layers, shared and routed
/// experts; not norms, router, embedding, heads and eh_proj.
bool is_quantised_in_fp8(std::string_view name);

float fp8_to_float(std::uint8_t bits);
/// Nearest, ties to even; beyond the largest saturates; NaN stays NaN.
std::uint8_t float_to_fp8(float value);

/// Elements [first, first + count) of a matrix of `cols` columns: `q` and `out` begin at element `first`, `scales` is
/// the matrix's whole table, row-major. Every bf16 value as bfloat16 bits, or widened to float.
void dequantise(const std::uint8_t* q, const float* scales, std::int64_t cols, std::int64_t first, std::int64_t count,
                std::uint16_t* out);
void dequantise(const std::uint8_t* q, const float* scales, std::int64_t cols, std::int64_t first, std::int64_t count,
                float* out);

struct QuantiseOptions {
  /// Scales of an earlier quantisation, of the rows given (row-major, one row for 128), or null. A block whose values
  /// all are products of its kept scale gets that scale and so its original bytes; the others get a scale of their own.
  const float* kept = nullptr;
  bool power_of_two = false;  ///< new scales are rounded up to powers of two (scale_fmt ue8m0)
};
/// Rows of a matrix [rows, cols] that begin at a multiple of 128: fills q [rows, cols] and scales
/// [ceil(rows / 128), ceil(cols / 128)]. A new scale is the block's largest magnitude / 448 (1 for a block of zeros),
/// q the value / scale, rounded to nearest even. In must be finite: returns false where it met NaN or infinity (q is
/// then NaN there).
bool quantise(const std::uint16_t* bf16, std::int64_t rows, std::int64_t cols, const QuantiseOptions& options,
              std::uint8_t* q, float* scales);
bool quantise(const float* values, std::int64_t rows, std::int64_t cols, const QuantiseOptions& options,
              std::uint8_t* q, float* scales);

/// Can the values be brought back to their bytes, and is the scale one that quantisation makes? Positive, finite, and
/// no product of it over- or underflows bfloat16.
bool is_usable_scale(float scale);

}  // namespace eddy::hf
