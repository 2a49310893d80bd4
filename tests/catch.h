#pragma once
// Catch2 2.13 (Debian 12) and 3 (Ubuntu 24.04) behind one include; `approx` compares floating point.
#ifdef EDDY_CATCH3
#include <catch2/catch_all.hpp>
using approx = Catch::Approx;
#else
#include <catch2/catch.hpp>
using approx = Catch::Detail::Approx;
#endif
