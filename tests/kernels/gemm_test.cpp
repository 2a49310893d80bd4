#include "kernels/gemm/gemm.h"

#include <limits>
#include <tuple>

#include "base/error.h"
#include "catch.h"
#include "values.h"

using namespace eddy_test;
using namespace eddy::kernels;

namespace {
/// alpha · op(A) · op(B) + beta · C in double, and the size of its error in float32.
struct Expected {
  Doubles c;
  double error = 0;
};
/// Each entry's error is at most some ulp of the sum of its terms' magnitudes (Higham 2002, §3.1, where rounding errors
/// of k products that add up like a random walk take the place of k in the bound): twice that over the whole matrix.
Expected reference(Block& a, bool ta, Block& b, bool tb, Doubles c, double alpha, double beta) {
  const std::int64_t m = ta ? a.cols() : a.rows(), k = ta ? a.rows() : a.cols(), n = tb ? b.rows() : b.cols();
  double squares = 0;
  for (std::int64_t i = 0; i < m; ++i)
    for (std::int64_t j = 0; j < n; ++j) {
      double sum = 0, magnitude = 0;
      for (std::int64_t l = 0; l < k; ++l) {
        const double term = double{ta ? a(l, i) : a(i, l)} * double{tb ? b(j, l) : b(l, j)};
        sum += term;
        magnitude += std::abs(alpha * term);
      }
      double& out = c[static_cast<std::size_t>(i * n + j)];
      magnitude += std::abs(beta * out);
      out = alpha * sum + (beta == 0 ? 0 : beta * out);
      squares += magnitude * magnitude;
    }
  return {c, 2 * kUlp * std::sqrt(squares)};
}

/// How many times the expected error the result is off.
double excess(Block& c, const Expected& expected) {
  Doubles difference = c.doubles();
  for (std::size_t i = 0; i < difference.size(); ++i) difference[i] -= expected.c[i];
  return distance(difference, Doubles(difference.size())) / expected.error;
}
}  // namespace

TEST_CASE("gemm: two by two by hand") {
  Block a(2, 3, {1, 2, 3, 4, 5, 6}), b(3, 2, {1, 0, 0, 1, 2, -1}), c(2, 2, {10, 20, 30, 40});
  gemm({}, a, false, b, false, c);
  CHECK(c.floats() == std::vector<float>{7, -1, 16, -1});
  gemm({}, a, false, b, false, c, 2, -1);  // 2 · AB - AB
  CHECK(c.floats() == std::vector<float>{7, -1, 16, -1});
}

TEST_CASE("gemm: every transposition, odd sizes, strided views") {
  std::uint64_t seed = 1;
  for (const auto& [m, n, k] : {std::tuple{1, 1, 1},
                                {1, 7, 65},
                                {3, 1, 7},
                                {2, 65, 7},
                                {7, 65, 1},
                                {65, 3, 129},
                                {129, 65, 33},
                                {1, 257, 300},
                                {300, 1, 257}})
    for (const bool ta : {false, true})
      for (const bool tb : {false, true})
        for (const int gap : {0, 5})
          for (const float beta : {0.0f, 1.0f, -0.5f}) {
            Block a = Block::random(ta ? k : m, ta ? m : k, ++seed, gap),
                  b = Block::random(tb ? n : k, tb ? k : n, ++seed, gap);
            Block c = Block::random(m, n, ++seed, gap);
            const Expected expected = reference(a, ta, b, tb, c.doubles(), 1.5, double{beta});
            gemm({}, a, ta, b, tb, c, 1.5f, beta);
            INFO(m << " " << n << " " << k << " ta " << ta << " tb " << tb << " gap " << gap << " beta " << beta);
            CHECK(excess(c, expected) < 1);
            CHECK(c.gaps_untouched());
          }
}

TEST_CASE("gemm: beta 0 does not read C") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const int n : {1, 5, 70}) {
    Block a = Block::random(9, 4, 1), b = Block::random(n, 4, 2), c(9, n, 0, nan);
    gemm({}, a, false, b, true, c);
    CHECK(excess(c, reference(a, false, b, true, Doubles(static_cast<std::size_t>(9 * n)), 1, 0)) < 1);
    Block row(1, n, 0, nan), one = Block::random(1, 4, 3);
    gemm({}, one, false, b, true, row);
    CHECK(excess(row, reference(one, false, b, true, Doubles(static_cast<std::size_t>(n)), 1, 0)) < 1);
  }
}

TEST_CASE("gemm: NaN in an operand reaches the result") {
  Block a = Block::random(5, 6, 1), b = Block::random(7, 6, 2), c(5, 7);
  a(2, 3) = std::numeric_limits<float>::quiet_NaN();
  gemm({}, a, false, b, true, c);
  for (int j = 0; j < 7; ++j) CHECK(std::isnan(c(2, j)));
  CHECK(!std::isnan(c(1, 0)));
}

TEST_CASE("gemm: no rows, no columns, nothing to sum over") {
  Block a(0, 4), b(4, 3), c(0, 3);
  gemm({}, a, false, b, false, c);
  Block a0(2, 0), b0(0, 3), c0(2, 3, 2, 7);
  gemm({}, a0, false, b0, false, c0, 1, 0.5f);
  CHECK(c0.floats() == std::vector<float>(6, 3.5f));
  c0(1, 1) = std::numeric_limits<float>::quiet_NaN();
  gemm({}, a0, false, b0, false, c0, 1, 0);
  CHECK(c0.floats() == std::vector<float>(6, 0.0f));
  CHECK(c0.gaps_untouched());
}

TEST_CASE("gemm: linear layers") {
  Block x = Block::random(5, 3, 1), w = Block::random(4, 3, 2), y(5, 4), dy = Block::random(5, 4, 3), dx(5, 3),
        dw(4, 3, 0, 1);
  linear({}, x, w, y);
  linear_backward_input({}, dy, w, dx);
  linear_backward_weight({}, dy, x, dw);
  CHECK(excess(y, reference(x, false, w, true, Doubles(20), 1, 0)) < 1);
  CHECK(excess(dx, reference(dy, false, w, false, Doubles(15), 1, 0)) < 1);
  CHECK(excess(dw, reference(dy, true, x, false, Doubles(12, 1), 1, 1)) < 1);
}

TEST_CASE("gemm: shapes and types that do not fit are refused") {
  Block a(2, 3), b(4, 2), c(2, 2);
  CHECK_THROWS_AS(gemm({}, a, false, b, false, c), eddy::Error);
  std::vector<std::uint16_t> half(6);
  CHECK_THROWS_WITH(gemm({}, View(half.data(), Dtype::bf16, {2, 3}), false, b, false, c),
                    "gemm on the CPU needs 'a' as f32, not bf16 (shape [2, 3])");
}
