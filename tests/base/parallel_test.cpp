#include "base/parallel.h"

#include <atomic>
#include <stdexcept>
#include <vector>

#include "catch.h"

using eddy::parallel_for;

TEST_CASE("every index once, by one thread or several, also where there is nothing to do") {
  for (const int threads : {0, 1, 3, 50})
    for (const std::size_t count : {0u, 1u, 2u, 100u}) {
      std::vector<std::atomic<int>> seen(count);
      parallel_for(threads, count, [&](std::size_t i) { ++seen[i]; });
      for (const auto& n : seen) CHECK(n == 1);
    }
}

TEST_CASE("an exception ends the work and reaches the caller") {
  for (const int threads : {1, 4}) {
    std::atomic<int> done = 0;
    CHECK_THROWS_AS(parallel_for(threads, 100000,
                                 [&](std::size_t i) {
                                   if (i == 7) throw std::runtime_error("seven");
                                   ++done;
                                 }),
                    std::runtime_error);
    CHECK(done < 100000 - 1);
  }
}
