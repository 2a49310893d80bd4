#include "kernels/adamw/adamw.h"

#include "base/error.h"
#include "catch.h"
#include "values.h"

using namespace eddy_test;
using namespace eddy::kernels;

TEST_CASE("adamw: the first step by hand") {
  // After the first step m / c1 = g and v / c2 = g², so that the parameter moves by lr · sign(g), after its decay.
  Block p(1, 2, {2, -1}), g(1, 2, {0.5f, -4}), m(1, 2), v(1, 2);
  adamw({}, p.flat(), g.flat(), m.flat(), v.flat(), {0.1f, 0.9f, 0.999f, 0, 0.01f, 1, 1 - 0.9f, 1 - 0.999f});
  CHECK(distance(p.doubles(), {2 * 0.999 - 0.1, -0.999 + 0.1}) <
        2e-6);  // c2 = 1 - 0.999 is known to 1e-4 ulp-wise: 6e-5 · lr
  CHECK(distance(m.doubles(), {0.05, -0.4}) < 4 * kUlp);
  CHECK(distance(v.doubles(), {0.00025, 0.016}) < 1e-4);
}

TEST_CASE("adamw: ten steps against double, odd sizes, clipped gradients") {
  for (const int n : {0, 1, 3, 65, 1000}) {
    Block p = Block::random(1, n, 1), m(1, n), v(1, n);
    Doubles pd = p.doubles(), md(pd.size()), vd(pd.size());
    const float lr = 0.01f, b1 = 0.9f, b2 = 0.95f, eps = 1e-8f, decay = 0.1f, clip = 0.3f;
    for (int t = 1; t <= 10; ++t) {
      Block g = Block::random(1, n, static_cast<std::uint64_t>(10 + t));
      const double c1 = 1 - std::pow(double{b1}, t), c2 = 1 - std::pow(double{b2}, t);
      for (std::size_t i = 0; i < pd.size(); ++i) {
        const double d = double{g.at(static_cast<std::int64_t>(i))} * double{clip};
        md[i] = double{b1} * md[i] + (1 - double{b1}) * d;
        vd[i] = double{b2} * vd[i] + (1 - double{b2}) * d * d;
        pd[i] = pd[i] * (1 - double{lr} * double{decay}) -
                double{lr} * (md[i] / c1) / (std::sqrt(vd[i] / c2) + double{eps});
      }
      adamw({}, p.flat(), g.flat(), m.flat(), v.flat(),
            {lr, b1, b2, eps, decay, clip, static_cast<float>(c1), static_cast<float>(c2)});
    }
    // ten updates of a few roundings each
    CHECK(distance(p.doubles(), pd) < 10 * kUlp);
    CHECK(distance(m.doubles(), md) < 10 * kUlp);
    CHECK(distance(v.doubles(), vd) < 20 * kUlp);
  }
}

TEST_CASE("adamw: the updated parameter rounded to bf16") {
  Block p = Block::random(1, 37, 1), g = Block::random(1, 37, 2), m(1, 37), v(1, 37);
  std::vector<std::uint16_t> value(37, 1);
  const View rounded(value.data(), Dtype::bf16, {37});
  adamw({}, p.flat(), g.flat(), m.flat(), v.flat(), {0.1f, 0.9f, 0.999f, 1e-8f, 0.01f, 1, 0.1f, 0.001f}, rounded);
  for (int i = 0; i < 37; ++i) CHECK(value[static_cast<std::size_t>(i)] == eddy::float_to_bf16(p.at(i)));
  CHECK_THROWS_AS(adamw({}, p.flat(), g.flat(), m.flat(), v.flat(), {}, p.flat()), eddy::Error);
}

TEST_CASE("adamw: sizes that differ are refused") {
  Block p(1, 3), g(1, 4);
  CHECK_THROWS_AS(adamw({}, p.flat(), g.flat(), p.flat(), p.flat(), {}), eddy::Error);
}
