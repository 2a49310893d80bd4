// Philox4x32-10 against the known answers of Random123 (kat_vectors, Salmon et al. 2011).
#include "base/rng.h"

#include "catch.h"

using namespace eddy;

TEST_CASE("known answers") {
  CHECK(philox(0, 0, 0) == Philox{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  const std::uint64_t ones = ~std::uint64_t{0};
  CHECK(philox(ones, ones, ones) == Philox{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  // counter 243f6a88 85a308d3 13198a2e 03707344, key a4093822 299f31d0: digits of pi
  CHECK(philox(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e) ==
        Philox{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("uniform numbers stay below one") {
  CHECK(uniform01(0) == 0);
  CHECK(uniform01(0xffffffff) < 1);
  CHECK(uniform01(0x80000000) == 0.5);
}

TEST_CASE("normals have the moments of a standard normal") {
  const int n = 100000;  // the standard error of the mean is 0.0022, of the variance 0.0032, of the covariance 0.0032
  double mean = 0, square = 0, product = 0;
  for (int i = 0; i < n; ++i) {
    const auto [a, b] = normal2(philox(42, static_cast<std::uint64_t>(i)));
    mean += (a + b) / 2;
    square += (a * a + b * b) / 2;
    product += a * b;
  }
  CHECK(std::abs(mean / n) < 0.01);
  CHECK(std::abs(square / n - 1) < 0.015);
  CHECK(std::abs(product / n) < 0.015);
  CHECK(std::isfinite(normal2({0, 0, 0, 0})[0]));
  CHECK(std::isfinite(normal2({0xffffffff, 0, 0, 0})[0]));
}

TEST_CASE("mix depends on both arguments and on their order") {
  CHECK(mix(1, 2) != mix(2, 1));
  CHECK(mix(1, 2) != mix(1, 3));
  CHECK(mix(0, 0) == 0xe220a8397b1dcdafull);  // the first value of splitmix64 from seed 0
}
