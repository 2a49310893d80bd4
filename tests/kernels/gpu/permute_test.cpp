// gather_rows and combine_rows on the GPU against the CPU: copies and unweighted sums bit for bit.
#include "kernels/permute/permute.h"

#include <string>
#include <tuple>

#include "base/error.h"
#include "rows.h"

using namespace eddy_test;      // NOLINT
using namespace eddy::kernels;  // NOLINT

namespace {

constexpr Dtype f = Dtype::f32, h = Dtype::bf16;

/// Values in [0, end), an eighth of them -1.
Tensor make_rows(const Shape& shape, int end, unsigned seed) {
  Tensor rows(shape, Dtype::i32);
  std::mt19937 engine(seed);
  for (std::int64_t i = 0; i < rows.view().numel(); ++i)
    rows.i32()[i] = engine() % 8 == 0 || end == 0 ? -1 : static_cast<int>(engine() % static_cast<unsigned>(end));
  return rows;
}

}  // namespace

TEST_CASE("GPU gather_rows: copies, zeros for -1") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const auto& [from, to, cols, gap] : {std::tuple{1000, 5000, 1, 0},
                                            {40, 97, 33, 0},
                                            {40, 97, 64, 8},
                                            {40, 97, 70, 3},
                                            {3, 200, 1500, 1},
                                            {9, 70, 7168, 0},
                                            {1, 1, 2056, 8},
                                            {0, 5, 64, 0}})
    for (const auto dtype : {f, h}) {
      const Tensor x = random_tensor({from, cols + 2 * gap}, 1, dtype), rows = make_rows({to}, from, 2);
      const Tensor y = filled({to, cols + 2 * gap}, 776), there = upload(*gpu, y, dtype);
      const Tensor x_there = upload(*gpu, x, dtype), rows_there = upload(*gpu, rows);
      gather_rows({}, inner(x, gap), rows, inner(y, gap));
      gather_rows(*gpu, inner(x_there, gap), rows_there, inner(there, gap));
      INFO(from << " to " << to << " rows of " << cols << ", gap " << gap << ", " << name_of(dtype));
      CHECK(first_difference(download(*gpu, there), y) == "");
    }
}

TEST_CASE("GPU combine_rows: sums in order, weighted or not, added or not") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const auto& [tokens, k, cols, gap] : {std::tuple{50, 1, 1, 0},
                                             {41, 3, 33, 0},
                                             {33, 8, 64, 8},
                                             {33, 8, 70, 3},
                                             {17, 11, 1032, 8},
                                             {9, 16, 1500, 1},
                                             {12, 8, 7168, 0}})
    for (const auto dtype : {f, h})
      for (const bool weighted : {false, true})
        for (const bool accumulate : {false, true}) {
          const std::int64_t from = tokens * k;
          const Tensor x = random_tensor({from, cols + 2 * gap}, 3, dtype), weights = random_tensor({tokens, k}, 4);
          const Tensor slots = make_rows({tokens, k}, static_cast<int>(from), 5);
          const Tensor y = random_tensor({tokens, cols + 2 * gap}, 6, dtype), there = upload(*gpu, y, dtype);
          const Tensor x_there = upload(*gpu, x, dtype), slots_there = upload(*gpu, slots),
                       weights_there = upload(*gpu, weights);
          combine_rows({}, inner(x, gap), slots, weighted ? weights.view() : View{}, accumulate, inner(y, gap));
          combine_rows(*gpu, inner(x_there, gap), slots_there, weighted ? weights_there.view() : View{}, accumulate,
                       inner(there, gap));
          const Tensor actual = download(*gpu, there), expected = download(*gpu, upload(*gpu, y, dtype));
          INFO(tokens << " tokens of " << k << " rows of " << cols << ", gap " << gap << ", " << name_of(dtype)
                      << (weighted ? ", weighted" : "") << (accumulate ? ", added" : ""));
          if (weighted)
            CHECK(relative_error(actual, expected) < tolerance(dtype));
          else
            CHECK(first_difference(actual, expected) == "");
        }
}

TEST_CASE("GPU permute: no rows, wrong views") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  const Tensor x({4, 8}, f, *gpu), none({0}, Dtype::i32, *gpu), no_slots({0, 2}, Dtype::i32, *gpu), y({0, 8}, f, *gpu);
  gather_rows(*gpu, x, none, y);
  combine_rows(*gpu, x, no_slots, {}, false, y);
  // Nothing arrived for any token: the sums are zeros.
  const Tensor out = upload(*gpu, filled({2, 8}, 5)), slots = upload(*gpu, make_rows({2, 3}, 0, 1));
  combine_rows(*gpu, y, slots, {}, false, out);
  CHECK(first_difference(download(*gpu, out), filled({2, 8}, 0)) == "");
  CHECK_THROWS_AS(gather_rows(*gpu, x, none, x), eddy::Error);
  CHECK_THROWS_AS(combine_rows(*gpu, x, slots, {}, false, Tensor({2, 8}, h, *gpu)), eddy::Error);
}
