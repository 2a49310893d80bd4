#include "kernels/common/math.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "catch.h"

using namespace eddy::kernels;

namespace {
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// |got - exact| in units of the last place of the float nearest to exact (at least the smallest subnormal).
double ulps(float got, double exact) {
  const float near = std::abs(static_cast<float>(exact));
  const double spacing =
      std::max(0x1p-149, static_cast<double>(std::nextafter(near, kInfinity)) - static_cast<double>(near));
  return std::abs(static_cast<double>(got) - exact) / spacing;
}
}  // namespace

TEST_CASE("exp is within 1.1 ulp over its whole range") {
  double worst = 0;
  for (std::uint32_t bits = 0; bits < 0x7f800000u; bits += 997) {
    for (const float x : {std::bit_cast<float>(bits), -std::bit_cast<float>(bits)}) {
      if (x > 88.72f || x < -110) continue;
      worst = std::max(worst, ulps(exp_f32(x), std::exp(static_cast<double>(x))));
    }
  }
  INFO("worst " << worst << " ulp");
  CHECK(worst < 1.1);
  CHECK(worst > 0.5);  // a float cannot do better: the measurement itself works
}

TEST_CASE("exp at the ends") {
  CHECK(exp_f32(0) == 1);
  CHECK(exp_f32(-0.0f) == 1);
  CHECK(exp_f32(kInfinity) == kInfinity);
  CHECK(exp_f32(100) == kInfinity);
  CHECK(exp_f32(88.8f) == kInfinity);
  CHECK(std::isfinite(exp_f32(88.7f)));
  CHECK(exp_f32(-kInfinity) == 0);
  CHECK(exp_f32(-200) == 0);
  CHECK(exp_f32(-103) == 0x1p-149f);
  CHECK(std::isnan(exp_f32(std::numeric_limits<float>::quiet_NaN())));
}

TEST_CASE("sigmoid") {
  double worst = 0;
  for (float x = -87; x < 30; x += 0.0137f)
    worst = std::max(worst, ulps(sigmoid_f32(x), 1 / (1 + std::exp(-static_cast<double>(x)))));
  INFO("worst " << worst << " ulp");
  CHECK(worst < 3);
  CHECK(sigmoid_f32(0) == 0.5f);
  CHECK(sigmoid_f32(kInfinity) == 1);
  CHECK(sigmoid_f32(-kInfinity) == 0);
  CHECK(std::isnan(sigmoid_f32(std::numeric_limits<float>::quiet_NaN())));
}

TEST_CASE("cos and sin of rotary angles") {
  double worst = 0;
  for (int position = 0; position < 163840; position += 61) {
    for (int i = 0; i < 32; ++i) {
      const double angle = position * std::pow(10000.0, -i / 32.0);
      const CosSin a = cos_sin(angle), b = cos_sin(-angle);
      worst = std::max({worst, std::abs(a.cos - std::cos(angle)), std::abs(a.sin - std::sin(angle)),
                        std::abs(b.cos - a.cos), std::abs(b.sin + a.sin)});
    }
  }
  INFO("worst " << worst);
  CHECK(worst < 2e-11);
}
