#include "convert_recast.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "convert_common.h"
#include "hf/fp8.h"
#include "hf/safetensors.h"

namespace eddy::convert {
namespace {

std::size_t elements(const std::vector<std::int64_t>& shape, std::int64_t rows) {
  std::int64_t n = rows;
  for (std::size_t d = 1; d < shape.size(); ++d) n *= shape[d];
  return static_cast<std::size_t>(n);
}

/// A scale of 0 stands for a block of zeros; other bytes below it could not be brought back.
void check_zero_scales(const std::string& name, const std::vector<float>& scales, const std::uint8_t* q,
                       std::int64_t cols, std::int64_t first, std::int64_t rows) {
  if (std::find(scales.begin(), scales.end(), 0.0f) == scales.end()) return;
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < cols; ++c) {
      const std::int64_t block = (first + r) / hf::kFp8Block * hf::fp8_blocks(cols) + c / hf::kFp8Block;
      if (scales[static_cast<std::size_t>(block)] == 0 && (q[r * cols + c] & 0x7f) != 0)
        fail_input("tensor '{}': the scale of block [{}, {}] is 0, but its weights are not; its values are lost", name,
                   (first + r) / hf::kFp8Block, c / hf::kFp8Block);
    }
}

}  // namespace

Dtype Recast::dtype_of(const std::string& name) const {
  const Dtype stored = in_.items().at(name).dtype;
  const bool weight = stored == Dtype::f32 || stored == Dtype::bf16 || stored == Dtype::f8e4m3;
  if (name.ends_with("e_score_correction_bias")) return Dtype::f32;
  if (!asked_ || !weight) return stored;
  if (*asked_ == Dtype::f8e4m3) return hf::is_quantised_in_fp8(name) || stored == *asked_ ? *asked_ : Dtype::bf16;
  return *asked_;
}

std::vector<hf::Declared> Recast::become(const std::string& name) const {
  const std::string matrix = hf::weight_of_scale(name);
  if (!matrix.empty() && in_.has(matrix) && in_.items().at(matrix).dtype == Dtype::f8e4m3) return {};
  const Item& item = in_.items().at(name);
  const Dtype dtype = dtype_of(name);
  std::vector<hf::Declared> out{{name, dtype, item.shape}};
  if (dtype == Dtype::f8e4m3) out.push_back({hf::scale_name(name), Dtype::f32, hf::fp8_scale_shape(item.shape)});
  return out;
}

void Recast::rows(const hf::Declared& t, std::int64_t first, std::int64_t rows, std::byte* out) {
  if (!in_.has(t.name) || (!hf::weight_of_scale(t.name).empty() && in_.has(hf::weight_of_scale(t.name))))
    return scale_rows(hf::weight_of_scale(t.name), first, rows, out);
  const Dtype stored = in_.items().at(t.name).dtype;
  if (stored == t.dtype) return in_.read(t.name, first, rows, out);
  if (stored == Dtype::f8e4m3) return dequantised(t, first, rows, out);
  if (t.dtype == Dtype::f8e4m3) return quantised(t.name, first, rows, reinterpret_cast<std::uint8_t*>(out));
  thread_local std::vector<char> buffer;
  const std::size_t n = elements(t.shape, rows);
  buffer.resize(n * size_of(stored));
  in_.read(t.name, first, rows, buffer.data());
  cast(buffer.data(), stored, out, t.dtype, static_cast<std::int64_t>(n));
}

void Recast::dequantised(const hf::Declared& t, std::int64_t first, std::int64_t rows, std::byte* out) const {
  thread_local std::vector<std::uint8_t> q;
  const std::int64_t cols = t.shape.at(1);
  q.resize(static_cast<std::size_t>(rows * cols));
  in_.read(t.name, first, rows, q.data());
  const std::vector<float> scales = in_.scales(t.name);
  check_zero_scales(t.name, scales, q.data(), cols, first, rows);
  if (t.dtype == Dtype::bf16)
    hf::dequantise(q.data(), scales.data(), cols, first * cols, rows * cols, reinterpret_cast<std::uint16_t*>(out));
  else
    hf::dequantise(q.data(), scales.data(), cols, first * cols, rows * cols, reinterpret_cast<float*>(out));
}

void Recast::quantised(const std::string& name, std::int64_t first, std::int64_t rows, std::uint8_t* out) {
  const Item& item = in_.items().at(name);
  if (item.shape.size() != 2)
    fail_input("tensor '{}' has shape {}; FP8 is for matrices", name, hf::shape_text(item.shape));
  const std::int64_t cols = item.shape[1], across = hf::fp8_blocks(cols), block = first / hf::kFp8Block;
  thread_local std::vector<float> values;
  thread_local std::vector<std::uint16_t> halves;
  const auto n = static_cast<std::size_t>(rows * cols);
  const auto kept = in_.kept_scales(name);
  if (kept && kept->size() != static_cast<std::size_t>(hf::fp8_blocks(item.shape[0]) * across))
    fail_input("tensor '{}': the scales kept beside it are of another shape; remove {} to do without them", name,
               hf::kScalesFile);
  const hf::QuantiseOptions how{kept ? kept->data() + block * across : nullptr, power_of_two_};
  std::vector<float> scales(static_cast<std::size_t>(hf::fp8_blocks(rows) * across));
  bool finite;
  if (item.dtype == Dtype::bf16) {
    halves.resize(n);
    in_.read(name, first, rows, halves.data());
    finite = hf::quantise(halves.data(), rows, cols, how, out, scales.data());
  } else {
    values.resize(n);
    in_.read(name, first, rows, values.data());
    finite = hf::quantise(values.data(), rows, cols, how, out, scales.data());
  }
  if (!finite)
    fail_input("tensor '{}' holds NaN or infinity in rows {} to {}: FP8 blocks cannot be made of it", name, first,
               first + rows - 1);
  const std::lock_guard lock(mutex_);
  Made& made = made_[name];
  made.scales.resize(static_cast<std::size_t>(hf::fp8_blocks(item.shape[0]) * across));
  std::copy(scales.begin(), scales.end(), made.scales.begin() + static_cast<std::ptrdiff_t>(block * across));
  made.rows += rows;
}

void Recast::scale_rows(const std::string& matrix, std::int64_t first, std::int64_t rows, std::byte* out) {
  const Item& item = in_.items().at(matrix);
  if (item.dtype == Dtype::f8e4m3) return in_.read(hf::scale_name(matrix), first, rows, out);
  {
    std::unique_lock lock(mutex_);
    if (const auto it = made_.find(matrix); it == made_.end() || it->second.rows < item.shape[0]) {
      // The matrix lies in another file, which another thread or rank may not have come to: made here for the scales.
      if (it != made_.end()) made_.erase(it);
      lock.unlock();
      std::vector<std::uint8_t> unused;
      constexpr std::int64_t kRows = 8 * hf::kFp8Block;
      for (std::int64_t r = 0; r < item.shape[0]; r += kRows) {
        const std::int64_t n = std::min(kRows, item.shape[0] - r);
        unused.resize(static_cast<std::size_t>(n * item.shape[1]));
        quantised(matrix, r, n, unused.data());
      }
    }
  }
  const std::lock_guard lock(mutex_);
  const auto it = made_.find(matrix);
  const auto across = static_cast<std::size_t>(hf::fp8_blocks(item.shape[1]));
  std::memcpy(out, it->second.scales.data() + static_cast<std::size_t>(first) * across,
              static_cast<std::size_t>(rows) * across * sizeof(float));
  if (first + rows == hf::fp8_blocks(item.shape[0])) made_.erase(it);
}

bool Recast::has_scales_to_keep(const std::string& matrix) const {
  return in_.items().at(matrix).dtype == Dtype::f8e4m3 || in_.kept_scales(matrix).has_value();
}

std::optional<std::vector<float>> Recast::scales_to_keep(const std::string& matrix) const {
  if (in_.items().at(matrix).dtype == Dtype::f8e4m3) return in_.scales(matrix);
  return in_.kept_scales(matrix);
}

}  // namespace eddy::convert
