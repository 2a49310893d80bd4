#include "comm/reduce_blocks.h"

#include <numeric>
#include <vector>

#include "base/error.h"
#include "catch.h"

using eddy::Dtype;
using eddy::comm::Reduce;
using eddy::comm::reduce_blocks;

namespace {
template <class T>
std::vector<T> reduced(const std::vector<std::vector<T>>& blocks, Dtype dtype, Reduce op) {
  std::vector<const void*> in;
  for (const auto& b : blocks) in.push_back(b.data());
  std::vector<T> out(blocks[0].size());
  reduce_blocks(in, out.data(), out.size(), dtype, op);
  return out;
}
}  // namespace

TEST_CASE("sums, maxima and minima of every type") {
  CHECK(reduced<float>({{1, -2}, {3, 4}, {0.5f, 1}}, Dtype::f32, Reduce::sum) == std::vector<float>{4.5f, 3});
  CHECK(reduced<double>({{1, -2}, {3, 4}}, Dtype::f64, Reduce::max) == std::vector<double>{3, 4});
  CHECK(reduced<std::int32_t>({{1, -2}, {3, 4}}, Dtype::i32, Reduce::min) == std::vector<std::int32_t>{1, -2});
  const std::int64_t big = std::int64_t{1} << 53;
  CHECK(reduced<std::int64_t>({{big}, {1}}, Dtype::i64, Reduce::sum) == std::vector<std::int64_t>{big + 1});
  CHECK(reduced<std::uint8_t>({{1, 200}, {2, 100}}, Dtype::u8, Reduce::max) == std::vector<std::uint8_t>{2, 200});
}

TEST_CASE("bf16 is summed in float32 and rounded once") {
  // 256 + 1 + 1: with 8 bits of mantissa 256 + 1 rounds back to 256 at each step, the float32 sum is 258.
  const auto b = eddy::float_to_bf16;
  CHECK(reduced<std::uint16_t>({{b(256)}, {b(1)}, {b(1)}}, Dtype::bf16, Reduce::sum) ==
        std::vector<std::uint16_t>{b(258)});
  CHECK(reduced<std::uint16_t>({{b(-1)}, {b(-3)}}, Dtype::bf16, Reduce::max) == std::vector<std::uint16_t>{b(-1)});
}

TEST_CASE("the order is the blocks' own") {
  // 1e8 + 1 - 1e8 in float32 is 0 from left to right, 1 in another order
  CHECK(reduced<float>({{1e8f}, {1}, {-1e8f}}, Dtype::f32, Reduce::sum)[0] == 0);
  CHECK(reduced<float>({{1e8f}, {-1e8f}, {1}}, Dtype::f32, Reduce::sum)[0] == 1);
}

TEST_CASE("long blocks, in place") {
  std::vector<float> a(5000), b(5000);
  std::iota(a.begin(), a.end(), 0.f);
  std::iota(b.begin(), b.end(), 1.f);
  const void* in[] = {a.data(), b.data()};
  reduce_blocks(in, b.data(), b.size(), Dtype::f32, Reduce::sum);
  bool right = true;
  for (std::size_t i = 0; i < b.size(); ++i) right = right && b[i] == 2 * static_cast<float>(i) + 1;
  CHECK(right);
}

TEST_CASE("f8 has no sum") {
  CHECK_THROWS_AS(reduced<std::uint8_t>({{1}}, Dtype::f8e4m3, Reduce::sum), eddy::Error);
}
