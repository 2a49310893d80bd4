#include "kernels/rms_norm/rms_norm.h"

#include <omp.h>

#include <limits>

#include "base/error.h"
#include "catch.h"
#include "values.h"

using namespace eddy_test;
using namespace eddy::kernels;

namespace {
constexpr double kEps = 1e-3;

Doubles reference(const Doubles& x, const Doubles& w) {
  const std::size_t hidden = w.size();
  Doubles y(x.size());
  for (std::size_t t = 0; t < x.size() / hidden; ++t) {
    double sum = 0;
    for (std::size_t i = 0; i < hidden; ++i) sum += x[t * hidden + i] * x[t * hidden + i];
    for (std::size_t i = 0; i < hidden; ++i)
      y[t * hidden + i] = x[t * hidden + i] / std::sqrt(sum / static_cast<double>(hidden) + kEps) * w[i];
  }
  return y;
}
}  // namespace

TEST_CASE("rms_norm by hand") {
  Block x(1, 2, {3, 4}), w(1, 2, {1, 2}), y(1, 2), r(1, 1);
  rms_norm({}, x, w.flat(), 0, y, r.flat());  // mean of squares 12.5
  CHECK(y(0, 0) == approx(3 / std::sqrt(12.5)));
  CHECK(y(0, 1) == approx(8 / std::sqrt(12.5)));
  CHECK(r(0, 0) == approx(1 / std::sqrt(12.5)));
}

TEST_CASE("rms_norm: forward and gradients against double, odd sizes, strided") {
  for (const auto& [tokens, hidden, gap] :
       {std::array{1, 1, 0}, {3, 7, 2}, {7, 65, 0}, {65, 3, 4}, {2, 129, 1}, {0, 5, 0}}) {
    Block x = Block::random(tokens, hidden, 1, gap), w = Block::random(1, hidden, 2), y(tokens, hidden, gap),
          r(1, tokens);
    Block dy = Block::random(tokens, hidden, 3, gap), residual = Block::random(tokens, hidden, 4, gap);
    rms_norm({}, x, w.flat(), static_cast<float>(kEps), y, r.flat());
    const double tolerance = 2 * kUlp * std::sqrt(hidden + 4.0);
    INFO(tokens << " x " << hidden);
    CHECK(distance(y.doubles(), reference(x.doubles(), w.doubles())) < tolerance);

    const auto loss_x = [&](const Doubles& v) { return dot(reference(v, w.doubles()), dy.doubles()); };
    const auto loss_w = [&](const Doubles& v) { return dot(reference(x.doubles(), v), dy.doubles()); };
    Doubles dx_expected = finite_differences(loss_x, x.doubles()),
            dw_expected = finite_differences(loss_w, w.doubles());
    Block dx(tokens, hidden, gap), dw(1, hidden, 0, 0.5f);
    rms_norm_backward({}, dy, x, w.flat(), r.flat(), {}, dx, dw.flat());
    // dx is a difference of terms as large as dy · w / rms: cancellation costs a few ulp (all of it for hidden = 1).
    const double dx_tolerance = hidden == 1 ? 2e-3 : 4 * tolerance;
    CHECK(distance(dx.doubles(), dx_expected) < dx_tolerance);
    for (double& v : dw_expected) v += 0.5;  // added to what was there
    CHECK(distance(dw.doubles(), dw_expected) < 2 * kUlp * std::sqrt(tokens + 4.0));

    // with the by-pass, in place on it, and without dweight
    const Doubles bypass = residual.doubles();
    for (std::size_t i = 0; i < bypass.size(); ++i) dx_expected[i] += bypass[i];
    rms_norm_backward({}, dy, x, w.flat(), r.flat(), residual, residual, {});
    CHECK(distance(residual.doubles(), dx_expected) < 8 * tolerance);
    // in place on dy, with dweight
    Block again(1, hidden, 0, 0.5f);
    rms_norm_backward({}, dy, x, w.flat(), r.flat(), {}, dy, again.flat());
    CHECK(dy.floats() == dx.floats());
    CHECK(again.floats() == dw.floats());
    CHECK((y.gaps_untouched() && dx.gaps_untouched() && residual.gaps_untouched()));
  }
}

TEST_CASE("rms_norm: NaN stays in its row; the bits do not depend on the threads") {
  Block x = Block::random(200, 300, 1), w = Block::random(1, 300, 2), dy = Block::random(200, 300, 3), r(1, 200),
        y(200, 300);
  const int threads = omp_get_max_threads();
  std::vector<std::vector<float>> results;
  for (const int n : {1, 3}) {
    omp_set_num_threads(n);
    Block dx(200, 300), dw(1, 300);
    rms_norm({}, x, w.flat(), 1e-6f, y, r.flat());
    rms_norm_backward({}, dy, x, w.flat(), r.flat(), {}, dx, dw.flat());
    results.push_back(dw.floats());
  }
  omp_set_num_threads(threads);
  CHECK(results[0] == results[1]);
  x(7, 5) = std::numeric_limits<float>::quiet_NaN();
  rms_norm({}, x, w.flat(), 1e-6f, y, r.flat());
  CHECK(std::isnan(y(7, 0)));
  CHECK(!std::isnan(y(6, 0)));
}
