// Runs of a block: together they are the block's elements, in order, and as few as can be.
#include "tensor/runs.h"

#include "catch.h"
#include "refusal.h"

using namespace eddy;

namespace {

struct Run {
  std::int64_t global, local, count;
  bool operator==(const Run&) const = default;
};

std::vector<Run> runs(const std::vector<std::int64_t>& shape, const std::vector<std::int64_t>& begin,
                      const std::vector<std::int64_t>& extent) {
  std::vector<Run> out;
  tensor::for_each_run(shape, begin, extent, [&](std::int64_t g, std::int64_t l, std::int64_t n) {
    out.push_back({g, l, n});
  });
  return out;
}

}  // namespace

TEST_CASE("whole dimensions join into one run") {
  using Runs = std::vector<Run>;
  CHECK(runs({4, 3, 2}, {0, 0, 0}, {4, 3, 2}) == Runs{{0, 0, 24}});
  CHECK(runs({4, 3, 2}, {1, 0, 0}, {2, 3, 2}) == Runs{{6, 0, 12}});
  CHECK(runs({4, 3, 2}, {1, 1, 0}, {2, 2, 2}) == Runs{{8, 0, 4}, {14, 4, 4}});
  CHECK(runs({2, 2, 3}, {0, 1, 1}, {2, 1, 2}) == Runs{{4, 0, 2}, {10, 2, 2}});
  CHECK(runs({5}, {2}, {2}) == Runs{{2, 0, 2}});
  CHECK(runs({}, {}, {}) == Runs{{0, 0, 1}});  // a scalar
  CHECK(runs({4, 3}, {1, 0}, {0, 3}).empty());
  CHECK(runs({4, 1, 3}, {1, 0, 0}, {2, 1, 2}) == Runs{{3, 0, 2}, {6, 2, 2}});
}

TEST_CASE("every block of a small tensor, against counting") {
  const std::vector<std::int64_t> shape{3, 2, 4};
  int wrong = 0;
  for (std::int64_t code = 0; code < 3 * 2 * 4; ++code)
    for (std::int64_t size = 0; size < 3 * 2 * 4; ++size) {
      const std::vector<std::int64_t> begin{code / 8, code / 4 % 2, code % 4},
          extent{1 + size / 8, 1 + size / 4 % 2, 1 + size % 4};
      if (begin[0] + extent[0] > 3 || begin[1] + extent[1] > 2 || begin[2] + extent[2] > 4) continue;
      std::vector<std::int64_t> expected, got;
      for (std::int64_t i = 0; i < extent[0]; ++i)
        for (std::int64_t j = 0; j < extent[1]; ++j)
          for (std::int64_t k = 0; k < extent[2]; ++k)
            expected.push_back((begin[0] + i) * 8 + (begin[1] + j) * 4 + begin[2] + k);
      for (const Run& r : runs(shape, begin, extent)) {
        wrong += r.local != static_cast<std::int64_t>(got.size());
        for (std::int64_t i = 0; i < r.count; ++i) got.push_back(r.global + i);
      }
      wrong += got != expected;
    }
  CHECK(wrong == 0);
}

TEST_CASE("a block outside its tensor is refused") {
  using eddy_test::refusal;
  refusal([] { runs({4}, {3}, {2}); }, Exit::failed);
  refusal([] { runs({4}, {-1}, {2}); }, Exit::failed);
  refusal([] { runs({4, 4}, {1}, {2}); }, Exit::failed);
}
