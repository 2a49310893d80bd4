#include "kernels/swiglu/swiglu.h"

#include <limits>

#include "base/error.h"
#include "catch.h"
#include "values.h"

using namespace eddy_test;
using namespace eddy::kernels;

namespace {
Doubles reference(const Doubles& gate_up, std::size_t rows, std::size_t inner) {
  Doubles act;
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t i = 0; i < inner; ++i) {
      const double g = gate_up[r * 2 * inner + i], u = gate_up[r * 2 * inner + inner + i];
      act.push_back(g / (1 + std::exp(-g)) * u);
    }
  return act;
}
}  // namespace

TEST_CASE("swiglu by hand") {
  Block in(2, 4, {0, 1, 5, 2, -1, 100, 3, 0.5}), act(2, 2);
  swiglu({}, in, act);
  const double s1 = 1 / (1 + std::exp(-1.0));
  CHECK(distance(act.doubles(), {0, 2 * s1, -3 * (1 - s1), 50}) < 2 * kUlp);
}

TEST_CASE("swiglu: forward and gradient, odd sizes, strided, in place") {
  for (const auto& [rows, inner, gap] : {std::array{1, 1, 0}, {3, 7, 2}, {5, 65, 1}, {0, 3, 0}, {129, 3, 0}}) {
    Block in = Block::random(rows, 2 * inner, 1, gap, 3), act(rows, inner, gap),
          dact = Block::random(rows, inner, 2, gap);
    const auto n = static_cast<std::size_t>(rows), m = static_cast<std::size_t>(inner);
    swiglu({}, in, act);
    // each result is a product of a few factors, each exact to at most 3 ulp
    CHECK(distance(act.doubles(), reference(in.doubles(), n, m)) < 4 * kUlp);
    const Doubles expected =
        finite_differences([&](const Doubles& v) { return dot(reference(v, n, m), dact.doubles()); }, in.doubles());
    Block dx(rows, 2 * inner, gap);
    swiglu_backward({}, dact, in, dx);
    CHECK(distance(dx.doubles(), expected) < 8 * kUlp);
    swiglu_backward({}, dact, in, in);
    CHECK(in.floats() == dx.floats());
    CHECK((act.gaps_untouched() && dx.gaps_untouched() && in.gaps_untouched()));
  }
}

TEST_CASE("swiglu: large gates saturate, NaN goes through") {
  Block in(1, 8, {-200, 200, std::numeric_limits<float>::quiet_NaN(), 1, 1, 1, 1, 1}), act(1, 4);
  swiglu({}, in, act);
  CHECK(act(0, 0) == 0);
  CHECK(act(0, 1) == 200);
  CHECK(std::isnan(act(0, 2)));
  CHECK(act(0, 3) == approx(0.7310586));
  Block wrong(1, 3);
  CHECK_THROWS_AS(swiglu({}, in, wrong), eddy::Error);
}
