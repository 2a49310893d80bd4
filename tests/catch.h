#pragma once
// Catch2 2.13 (Debian 12) and 3 (Ubuntu 24.04) behind one include; `approx` compares floating point,
// `contains_text` looks for a part of a string.
#ifdef EDDY_CATCH3
#include <catch2/catch_all.hpp>
using approx = Catch::Approx;
inline auto contains_text(const std::string& part) {
  return Catch::Matchers::ContainsSubstring(part);
}
#else
#include <catch2/catch.hpp>
using approx = Catch::Detail::Approx;
inline auto contains_text(const std::string& part) {
  return Catch::Matchers::Contains(part);
}
#endif
