// RoPE on the GPU against its CPU twin.
#include "kernels/rope/rope.h"

#include "padded.h"

using namespace eddy_test;  // NOLINT
namespace kernels = eddy::kernels;

namespace {

struct Size {
  std::int64_t rows;
  int heads, head_dim, offset, pairs;
  std::int64_t gap;
};
// DeepSeek-V3's queries; its keys' columns of the latent; several tokens a block; single elements (odd offset, odd
// number of pairs, odd stride); a head that is longer than a block has threads; no tokens.
const std::vector<Size> kSizes = {{9, 128, 192, 128, 32, 0}, {71, 1, 64, 0, 32, 2048}, {45, 16, 48, 16, 16, 8},
                                  {33, 3, 11, 5, 3, 0},      {20, 5, 24, 8, 8, 3},     {5, 2, 520, 8, 256, 0},
                                  {700, 1, 8, 0, 4, 0},      {0, 4, 64, 0, 32, 0}};

kernels::RopeTable table_of(int pairs) {
  kernels::RopeTable table;
  for (int i = 0; i < pairs; ++i) table.inverse_frequency.push_back(std::pow(10000.0, -static_cast<double>(i) / pairs));
  table.magnitude = 1.25;
  return table;
}

Tensor positions_of(std::int64_t rows) {
  Tensor positions({rows}, Dtype::i32);
  for (std::int64_t t = 0; t < rows; ++t)  // up to 163839, the longest context
    positions.i32()[t] = static_cast<std::int32_t>(t == 0 ? 163839 : t * 16127 % 163840);
  return positions;
}

}  // namespace

TEST_CASE("rope on the GPU") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16}) {
    for (const auto& [rows, heads, head_dim, offset, pairs, gap] : kSizes) {
      for (const bool inverse : {false, true}) {
        CAPTURE(eddy::name_of(dtype), rows, heads, head_dim, offset, pairs, gap, inverse);
        const Tensor x = random_tensor({rows, std::int64_t{heads} * head_dim}, 1, dtype);
        const Tensor positions = positions_of(rows), expected = copy_of(x);
        const auto table = table_of(pairs);
        kernels::rope({}, expected, heads, head_dim, offset, positions, table, inverse);
        const Padded there(*gpu, x, dtype, gap);
        kernels::rope(*gpu, there, heads, head_dim, offset, upload(*gpu, positions, Dtype::i32), table, inverse);
        const Tensor actual = there.host();
        CHECK(relative_error(actual, expected) < tolerance(dtype));
        std::int64_t changed = 0;  // outside the rotated columns
        for (std::int64_t i = 0; i < x.view().numel(); ++i) {
          const std::int64_t c = i % head_dim;
          if ((c < offset || c >= offset + 2 * pairs) && actual.f32()[i] != x.f32()[i]) ++changed;
        }
        CHECK(changed == 0);
      }
    }
  }
}

TEST_CASE("rope's angles on the GPU at far positions") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  constexpr int kPairs = 32;
  auto table = table_of(kPairs);
  table.magnitude = 1;
  const std::vector<std::int32_t> at = {0, 1, 2, 4095, 131071, 163839};
  const auto rows = static_cast<std::int64_t>(at.size());
  Tensor x({rows, 2 * kPairs}), positions({rows}, Dtype::i32);
  for (std::int64_t i = 0; i < rows * kPairs; ++i) {
    x.f32()[2 * i] = 1;
    x.f32()[2 * i + 1] = 0;
  }
  std::copy(at.begin(), at.end(), positions.i32());
  const Padded there(*gpu, x);
  kernels::rope(*gpu, there, 1, 2 * kPairs, 0, upload(*gpu, positions, Dtype::i32), table, false);
  const Tensor actual = there.host();
  double worst = 0;
  for (std::int64_t t = 0; t < rows; ++t)
    for (int i = 0; i < kPairs; ++i) {
      const double angle = at[static_cast<std::size_t>(t)] * table.inverse_frequency[static_cast<std::size_t>(i)];
      const float* pair = actual.f32() + (t * kPairs + i) * 2;
      const double off = std::max(std::abs(pair[0] - std::cos(angle)), std::abs(pair[1] - std::sin(angle)));
      worst = std::isnan(off) ? INFINITY : std::max(worst, off);
    }
  CHECK(worst < 1e-7);  // half a unit in float32's last place below 1: 6e-8
}
