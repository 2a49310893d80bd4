#include "kernels/rope/rope.h"

#include "base/error.h"
#include "catch.h"
#include "values.h"

using namespace eddy_test;
using namespace eddy::kernels;

namespace {
RopeTable table_of(int pairs, double magnitude = 1) {
  RopeTable table;
  for (int i = 0; i < pairs; ++i) table.inverse_frequency.push_back(std::pow(10000.0, -double(i) / pairs));
  table.magnitude = magnitude;
  return table;
}
}  // namespace

TEST_CASE("rope: a quarter turn by hand") {
  RopeTable table{{1.5707963267948966}, 1};  // position 1: pi / 2, position 2: pi
  Block x(3, 4, {5, 1, 2, 6, 5, 1, 2, 6, 5, 1, 2, 6});
  std::vector<std::int32_t> positions{0, 1, 2};
  rope({}, x, 1, 4, 1, ints(positions), table, false);
  const Doubles expected{5, 1, 2, 6, 5, -2, 1, 6, 5, -1, -2, 6};
  CHECK(distance(x.doubles(), expected) < kUlp);
}

TEST_CASE("rope: heads, offsets, strides and far positions against double") {
  std::vector<std::int32_t> positions{0, 1, 7, 4095, 163839, 0, 3};
  for (const int heads : {1, 3})
    for (const int pairs : {1, 3, 32}) {
      const int offset = 5, head_dim = offset + 2 * pairs + 1;
      const RopeTable table = table_of(pairs, 1.25);
      Block x = Block::random(7, heads * head_dim, 1, 3), back = x;
      Doubles expected = x.doubles();
      for (std::size_t t = 0; t < positions.size(); ++t)
        for (int h = 0; h < heads; ++h)
          for (int i = 0; i < pairs; ++i) {
            double* v = expected.data() +
                        (t * static_cast<std::size_t>(heads) + static_cast<std::size_t>(h)) *
                            static_cast<std::size_t>(head_dim) +
                        offset + 2 * i;
            const double angle = positions[t] * table.inverse_frequency[static_cast<std::size_t>(i)];
            const double a = v[0], b = v[1];
            v[0] = 1.25 * (a * std::cos(angle) - b * std::sin(angle));
            v[1] = 1.25 * (a * std::sin(angle) + b * std::cos(angle));
          }
      rope({}, x, heads, head_dim, offset, ints(positions), table, false);
      CHECK(distance(x.doubles(), expected) < 2 * kUlp);
      CHECK(x.gaps_untouched());
      // inverse is the transpose: with the factor 1 it undoes the rotation
      Block turned = back;
      rope({}, turned, heads, head_dim, offset, ints(positions), table_of(pairs), false);
      rope({}, turned, heads, head_dim, offset, ints(positions), table_of(pairs), true);
      CHECK(distance(turned.doubles(), back.doubles()) < 3 * kUlp);
      // <rope(x), y> = <x, rope^T(y)>, with the factor
      Block y = Block::random(7, heads * head_dim, 2, 0), y_back = y;
      rope({}, y_back, heads, head_dim, offset, ints(positions), table, true);
      CHECK(dot(x.doubles(), y.doubles()) == approx(dot(back.doubles(), y_back.doubles())).epsilon(1e-5).margin(1e-4));
    }
}

TEST_CASE("rope: only relative positions matter to a product of query and key") {
  const RopeTable table = table_of(8);
  Doubles products;
  for (const int shift : {0, 1000, 160000}) {
    Block q = Block::random(1, 16, 1), k = Block::random(1, 16, 2);
    std::vector<std::int32_t> at_q{11 + shift}, at_k{4 + shift};
    rope({}, q, 1, 16, 0, ints(at_q), table, false);
    rope({}, k, 1, 16, 0, ints(at_k), table, false);
    products.push_back(dot(q.doubles(), k.doubles()));
  }
  CHECK(products[1] == approx(products[0]).margin(1e-5));
  CHECK(products[2] == approx(products[0]).margin(1e-5));
}

TEST_CASE("rope: no tokens; pairs that do not fit") {
  Block x(0, 6);
  std::vector<std::int32_t> none;
  rope({}, x, 1, 6, 0, ints(none), table_of(3), false);
  CHECK_THROWS_AS(rope({}, x, 1, 6, 1, ints(none), table_of(3), false), eddy::Error);
  CHECK_THROWS_AS(rope({}, x, 2, 6, 0, ints(none), table_of(3), false), eddy::Error);
}
