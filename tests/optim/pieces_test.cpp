#include "optim/pieces.h"

#include <numeric>

#include "catch.h"

using namespace eddy;
using Dims = std::vector<std::int64_t>;

namespace {
parallel::ParameterInfo block(Dims global, Dims begin, Dims extent) {
  parallel::ParameterInfo info;
  info.name = "p";
  info.global_shape = std::move(global);
  info.begin = std::move(begin);
  info.extent = std::move(extent);
  return info;
}
}  // namespace

TEST_CASE("whole rows of a matrix are one box") {
  const auto b = optim::boxes_of(block({10, 4}, {2, 0}, {6, 4}), 4, 20);
  REQUIRE(b.size() == 1);
  CHECK(b[0].begin == Dims{3, 0});
  CHECK(b[0].extent == Dims{4, 4});
  CHECK(b[0].offset == 4);
}

TEST_CASE("elements of a matrix: the end of a row, whole ones, the start of one; a part of one") {
  const auto info = block({10, 8}, {2, 4}, {6, 4});
  const auto b = optim::boxes_of(info, 3, 17);
  REQUIRE(b.size() == 3);
  CHECK(b[0].begin == Dims{2, 7});
  CHECK(b[0].extent == Dims{1, 1});
  CHECK(b[1].begin == Dims{3, 4});
  CHECK(b[1].extent == Dims{3, 4});
  CHECK(b[1].offset == 4);
  CHECK(b[2].begin == Dims{6, 4});
  CHECK(b[2].extent == Dims{1, 1});
  CHECK(b[2].offset == 16);
  const auto within = optim::boxes_of(info, 5, 7);
  REQUIRE(within.size() == 1);
  CHECK(within[0].begin == Dims{3, 5});
  CHECK(within[0].extent == Dims{1, 2});
  CHECK(within[0].offset == 5);
}

TEST_CASE("elements of a vector") {
  const auto b = optim::boxes_of(block({10}, {4}, {6}), 2, 6);
  REQUIRE(b.size() == 1);
  CHECK(b[0].begin == Dims{6});
  CHECK(b[0].extent == Dims{4});
  CHECK(b[0].offset == 2);
}

TEST_CASE("rows of stacked experts: the end of one, whole ones, the start of another") {
  const auto info = block({8, 5, 3}, {4, 0, 0}, {4, 5, 3});
  const auto b = optim::boxes_of(info, 9, 51);
  REQUIRE(b.size() == 3);
  CHECK(b[0].begin == Dims{4, 3, 0});
  CHECK(b[0].extent == Dims{1, 2, 3});
  CHECK(b[0].offset == 9);
  CHECK(b[1].begin == Dims{5, 0, 0});
  CHECK(b[1].extent == Dims{2, 5, 3});
  CHECK(b[1].offset == 15);
  CHECK(b[2].begin == Dims{7, 0, 0});
  CHECK(b[2].extent == Dims{1, 2, 3});
  CHECK(b[2].offset == 45);
  CHECK(optim::boxes_of(info, 7, 7).empty());
}

TEST_CASE("every range of a block is covered exactly, in order") {
  const auto info = block({6, 4, 3, 2}, {1, 0, 0, 0}, {5, 4, 3, 2});
  const std::int64_t elements = 120;
  for (std::int64_t from = 0; from <= elements; ++from)
    for (std::int64_t to = from; to <= elements; ++to) {
      std::int64_t at = from;
      for (const auto& box : optim::boxes_of(info, from, to)) {
        REQUIRE(box.offset == at);
        std::int64_t first = 0;  // index of the box's first element in the block, from its place in the global tensor
        for (std::size_t a = 0; a < 4; ++a) first = first * info.extent[a] + box.begin[a] - info.begin[a];
        REQUIRE(first == at);
        at += box.numel();
      }
      REQUIRE(at == to);
    }
}
