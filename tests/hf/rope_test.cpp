// Frequencies of RoPE and YaRN, worked by hand and as transformers gives them.
#include "hf/rope.h"

#include <cmath>

#include "catch.h"

using namespace eddy::hf;

namespace {

ModelConfig config(int dim, std::optional<RopeScaling> scaling) {
  ModelConfig c;
  c.qk_rope_head_dim = dim;
  c.rope_theta = 10000;
  c.rope_scaling = scaling;
  return c;
}

RopeScaling yarn(double factor, int original) {
  RopeScaling s;
  s.factor = factor;
  s.original_max_position = original;
  return s;
}

}  // namespace

TEST_CASE("plain RoPE: theta to the minus 2i over dim") {
  const auto r = rope_frequencies(config(8, {}));
  CHECK(r.magnitude == 1);
  REQUIRE(r.inverse_frequency.size() == 4);
  for (int i = 0; i < 4; ++i)
    CHECK(r.inverse_frequency[static_cast<std::size_t>(i)] == approx(std::pow(10.0, -i)).epsilon(1e-7));
}

TEST_CASE("YaRN by hand") {
  // 8 dimensions, theta 10^4, 64 original positions: 32 rotations fall at pair 8 ln(64 / 64π) / 2 ln 10^4 = -0.50, so
  // low = 0 (floor -1, at least 0); one rotation at pair 8 ln(64 / 2π) / 2 ln 10^4 = 1.01, so high = 2. The ramp is 0,
  // ½, 1, 1.
  RopeScaling s = yarn(4, 64);
  auto r = rope_frequencies(config(8, s));
  CHECK(r.inverse_frequency[0] == 1);
  CHECK(r.inverse_frequency[1] == approx((0.1 + 0.025) / 2).epsilon(1e-7));
  CHECK(r.inverse_frequency[2] == approx(0.01 / 4).epsilon(1e-7));
  CHECK(r.inverse_frequency[3] == approx(0.001 / 4).epsilon(1e-7));
  // beta_fast 1: low = floor 1.01 = 1, the ramp is 0, 0, 1, 1
  s.beta_fast = 1;
  CHECK(rope_frequencies(config(8, s)).inverse_frequency[1] == approx(0.1).epsilon(1e-7));
  // not truncated: low = high = 1.0084 + 0.001 for the division's sake, still a step between pairs 1 and 2
  s.truncate = false;
  CHECK(rope_frequencies(config(8, s)).inverse_frequency[1] == approx(0.1).epsilon(1e-7));
  CHECK(rope_frequencies(config(8, s)).inverse_frequency[2] == approx(0.0025).epsilon(1e-7));
}

TEST_CASE("magnitude: mscale over mscale_all_dim where both are given, else the paper's 0.1 ln s + 1") {
  RopeScaling s = yarn(4, 64);
  const double log4 = std::log(4.0);
  CHECK(rope_frequencies(config(8, s)).magnitude == approx(0.1 * log4 + 1).epsilon(1e-15));
  s.mscale = 0.7;
  CHECK(rope_frequencies(config(8, s)).magnitude == approx(0.1 * log4 + 1).epsilon(1e-15));
  s.mscale_all_dim = 1.3;
  CHECK(rope_frequencies(config(8, s)).magnitude == approx((0.07 * log4 + 1) / (0.13 * log4 + 1)).epsilon(1e-15));
  CHECK(rope_frequencies(config(8, s)).magnitude == approx(0.9295234923939468).epsilon(1e-15));  // transformers 5.23
  s.attention_factor = 1.5;
  CHECK(rope_frequencies(config(8, s)).magnitude == 1.5);
  s = yarn(1, 64);
  s.mscale = 0.7;
  s.mscale_all_dim = 1.3;
  CHECK(rope_frequencies(config(8, s)).magnitude == 1);
}

TEST_CASE("DeepSeek-R1's frequencies are transformers' to the last bit") {
  // ROPE_INIT_FUNCTIONS["yarn"] of transformers 5.23: 64 dimensions, factor 40 over 4096
  const double reference[32] = {0x1.0000000p+0,  0x1.7ff2220p-1,  0x1.1feb340p-1,  0x1.afd1360p-2,  0x1.43d1360p-2,
                                0x1.e5a8460p-3,  0x1.6c310e0p-3,  0x1.111aee0p-3,  0x1.99999a0p-4,  0x1.33281a0p-4,
                                0x1.ccab840p-5,  0x1.3f8b740p-5,  0x1.b864360p-6,  0x1.2d1b860p-6,  0x1.97e5060p-7,
                                0x1.111aee0p-7,  0x1.6872b20p-8,  0x1.d2e0cc0p-9,  0x1.26d42c0p-9,  0x1.67459a0p-10,
                                0x1.9e7c6e0p-11, 0x1.b326240p-12, 0x1.74eea60p-13, 0x1.17a8e20p-15, 0x1.a36e2e0p-16,
                                0x1.3a87460p-16, 0x1.d7b9e00p-17, 0x1.61bea20p-17, 0x1.0945660p-17, 0x1.8dd9ba0p-18,
                                0x1.2a58840p-18, 0x1.bf749e0p-19};
  const auto r = rope_frequencies(config(64, yarn(40, 4096)));
  REQUIRE(r.inverse_frequency.size() == 32);
  int differ = 0;
  for (std::size_t i = 0; i < 32; ++i) differ += r.inverse_frequency[i] != reference[i];
  CHECK(differ == 0);
}
