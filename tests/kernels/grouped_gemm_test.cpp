#include "kernels/grouped_gemm/grouped_gemm.h"

#include <limits>

#include "base/error.h"
#include "catch.h"
#include "values.h"

using namespace eddy_test;
using namespace eddy::kernels;

namespace {
struct Case {
  std::int64_t n, k;
  std::vector<std::int64_t> offsets;
};
const std::vector<Case> kCases = {{3, 5, {0, 2, 2, 7, 8}},     // an expert without rows
                                  {1, 1, {0, 0, 0}},           // no rows at all
                                  {65, 33, {0, 0, 129, 130}},  // the first without
                                  {7, 64, {0, 1, 2, 3, 4, 5, 6, 7, 7}}};
View where(const std::vector<std::int64_t>& offsets) {
  const auto n = static_cast<std::int64_t>(offsets.size());
  return {const_cast<std::int64_t*>(offsets.data()), eddy::Dtype::i64, {n}};  // NOLINT: a View of what is only read
}
View stack(Block& w, std::int64_t experts) {
  return w.view().reshape({experts, w.rows() / experts, w.cols()});
}
}  // namespace

TEST_CASE("grouped_gemm: each expert's rows by its own weights") {
  for (const auto& c : kCases) {
    const auto experts = static_cast<std::int64_t>(c.offsets.size()) - 1, rows = c.offsets.back(),
               spare = std::int64_t{2};
    Block w = Block::random(experts * c.n, c.k, 1), x = Block::random(rows + spare, c.k, 2, 3),
          y(rows + spare, c.n, 1, 9);
    Block dy = Block::random(rows + spare, c.n, 3, 2), dx(rows + spare, c.k, 2, 9),
          dw = Block::random(experts * c.n, c.k, 4);
    Doubles y_expected = y.doubles(), dx_expected = dx.doubles(), dw_expected = dw.doubles();
    const auto index = [](std::int64_t r, std::int64_t cols, std::int64_t col) {
      return static_cast<std::size_t>(r * cols + col);
    };
    for (std::int64_t e = 0; e < experts; ++e)
      for (std::int64_t r = c.offsets[static_cast<std::size_t>(e)]; r < c.offsets[static_cast<std::size_t>(e) + 1];
           ++r) {
        for (std::int64_t i = 0; i < c.n; ++i) y_expected[index(r, c.n, i)] = 0;
        for (std::int64_t j = 0; j < c.k; ++j) dx_expected[index(r, c.k, j)] = 0;
        for (std::int64_t i = 0; i < c.n; ++i)
          for (std::int64_t j = 0; j < c.k; ++j) {
            y_expected[index(r, c.n, i)] += double{x(r, j)} * double{w(e * c.n + i, j)};
            dx_expected[index(r, c.k, j)] += double{dy(r, i)} * double{w(e * c.n + i, j)};
            dw_expected[index(e * c.n + i, c.k, j)] += double{dy(r, i)} * double{x(r, j)};
          }
      }
    grouped_gemm({}, x, stack(w, experts), true, where(c.offsets), y);
    grouped_gemm({}, dy, stack(w, experts), false, where(c.offsets), dx);
    grouped_gemm_backward_weight({}, dy, x, where(c.offsets), stack(dw, experts));
    // Afresh: what was there does not count, and an expert without rows gets zeros.
    Block fresh(experts * c.n, c.k, 0, std::numeric_limits<float>::quiet_NaN());
    grouped_gemm_backward_weight({}, dy, x, where(c.offsets), stack(fresh, experts), 0);
    const Doubles old = Block::random(experts * c.n, c.k, 4).doubles();
    Doubles sums = dw_expected;
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] -= old[i];
    CHECK(distance(fresh.doubles(), sums) <= 24 * kUlp);
    // sums of at most 130 products; rows beyond the last offset keep their value
    CHECK(distance(y.doubles(), y_expected) < 12 * kUlp);
    CHECK(distance(dx.doubles(), dx_expected) < 12 * kUlp);
    CHECK(distance(dw.doubles(), dw_expected) < 12 * kUlp);
    CHECK((y.gaps_untouched() && dx.gaps_untouched()));
    for (std::int64_t i = 0; i < spare * c.n; ++i) CHECK(y.at(rows * c.n + i) == 9);
  }
}

TEST_CASE("grouped_gemm: offsets that do not fit are refused") {
  Block w(6, 4), x(5, 4), y(5, 3);
  CHECK_THROWS_AS(grouped_gemm({}, x, stack(w, 2), true, where({0, 3}), y), eddy::Error);
  CHECK_THROWS_AS(grouped_gemm({}, x, stack(w, 2), true, where({0, 3, 6}), y), eddy::Error);
  CHECK_THROWS_AS(grouped_gemm({}, x, stack(w, 2), true, where({0, 3, 2}), y), eddy::Error);
}
