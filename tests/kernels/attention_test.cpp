#include "kernels/attention/attention.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "catch.h"
#include "values.h"

using namespace eddy_test;
using namespace eddy::kernels;

namespace {
using Bounds = std::vector<std::int32_t>;

struct Sizes {
  int heads, d_qk, d_v;
};

/// Softmax attention written out in double: o [T, heads · d_v], then lse [heads, T].
Doubles reference(const Doubles& q, const Doubles& k, const Doubles& v, Sizes s, const Bounds& cu, double scale) {
  const auto n = [](int i) { return static_cast<std::size_t>(i); };
  const int tokens = cu.back();
  Doubles out(n(tokens * s.heads * (s.d_v + 1)));
  for (std::size_t d = 0; d + 1 < cu.size(); ++d)
    for (int h = 0; h < s.heads; ++h)
      for (int i = cu[d]; i < cu[d + 1]; ++i) {
        Doubles score;
        double max = -HUGE_VAL, sum = 0;
        for (int j = cu[d]; j <= i; ++j) {
          double product = 0;
          for (int c = 0; c < s.d_qk; ++c)
            product += q[n((i * s.heads + h) * s.d_qk + c)] * k[n((j * s.heads + h) * s.d_qk + c)];
          score.push_back(product * scale);
          max = std::max(max, score.back());
        }
        for (const double x : score) sum += std::exp(x - max);
        for (int j = cu[d]; j <= i; ++j)
          for (int c = 0; c < s.d_v; ++c)
            out[n((i * s.heads + h) * s.d_v + c)] +=
                std::exp(score[n(j - cu[d])] - max) / sum * v[n((j * s.heads + h) * s.d_v + c)];
        out[n(tokens * s.heads * s.d_v + h * tokens + i)] = max + std::log(sum);
      }
  return out;
}

Doubles join(Doubles a, const Doubles& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
}  // namespace

TEST_CASE("attention: two tokens by hand") {
  Block q(2, 1, {1, 2}), k(2, 1, {0.5f, -1}), v(2, 2, {1, 2, 3, -4}), o(2, 2), lse(1, 2);
  attention({}, q, k, v, 1, {Bounds{0, 2}}, 0.5f, o, lse);
  // the second query's scaled scores: 0.5 and -1
  const double p = 1 / (1 + std::exp(-1.5));
  CHECK(distance(o.doubles(), {1, 2, p + 3 * (1 - p), 2 * p - 4 * (1 - p)}) < 2 * kUlp);
  CHECK(distance(lse.doubles(), {0.25, std::log(std::exp(0.5) + std::exp(-1.0))}) < 2 * kUlp);
}

TEST_CASE("attention: packed documents against double") {
  // one token; empty documents; around the tile sizes of 64 queries and 256 keys; several key blocks
  const std::vector<Bounds> packs{
      {0, 1}, {0, 0, 3, 3, 10, 10}, {0, 63, 127, 192}, {0, 129, 130}, {0, 256, 513}, {0, 700}, {0}, {0, 0}};
  for (const Bounds& cu : packs)
    for (const Sizes s : {Sizes{1, 3, 5}, {3, 24, 16}})
      for (const int gap : {0, 7}) {
        const int tokens = cu.back();
        Block q = Block::random(tokens, s.heads * s.d_qk, 1, gap, 2),
              k = Block::random(tokens, s.heads * s.d_qk, 2, gap);
        Block v = Block::random(tokens, s.heads * s.d_v, 3, gap), o(tokens, s.heads * s.d_v, gap, -1),
              lse(s.heads, tokens, gap, -1);
        attention({}, q, k, v, s.heads, {cu}, 0.3f, o, lse);
        INFO("tokens " << tokens << " heads " << s.heads << " gap " << gap);
        const Doubles expected = reference(q.doubles(), k.doubles(), v.doubles(), s, cu, double{0.3f});
        // A score's rounding error (some ulp of its size, up to about 20 here) is the relative error of its
        // probability.
        CHECK(distance(join(o.doubles(), lse.doubles()), expected) < 20 * kUlp);
        CHECK((o.gaps_untouched() && lse.gaps_untouched()));
      }
}

TEST_CASE("attention: gradients against finite differences") {
  const std::vector<Bounds> packs{{0, 1}, {0, 4, 4, 9}, {0, 2, 23}};
  for (const Bounds& cu : packs)
    for (const Sizes s : {Sizes{1, 3, 2}, {2, 4, 3}}) {
      const int tokens = cu.back();
      Block q = Block::random(tokens, s.heads * s.d_qk, 1, 2), k = Block::random(tokens, s.heads * s.d_qk, 2, 1);
      Block v = Block::random(tokens, s.heads * s.d_v, 3), o(tokens, s.heads * s.d_v), lse(s.heads, tokens);
      Block d_o = Block::random(tokens, s.heads * s.d_v, 4, 3), dq(tokens, s.heads * s.d_qk, 1, 7),
            dk(tokens, s.heads * s.d_qk, 2, 7);
      Block dv(tokens, s.heads * s.d_v, 0, 7);
      attention({}, q, k, v, s.heads, {cu}, 0.5f, o, lse);
      attention_backward({}, q, k, v, o, lse, d_o, s.heads, {cu}, 0.5f, dq, dk, dv);
      Doubles weight = d_o.doubles();
      weight.resize(weight.size() + static_cast<std::size_t>(s.heads * tokens));  // the loss does not see lse
      const auto loss = [&](const Doubles& a, const Doubles& b, const Doubles& c) {
        return dot(reference(a, b, c, s, cu, 0.5), weight);
      };
      const Doubles a = q.doubles(), b = k.doubles(), c = v.doubles();
      // One token attends to itself alone: dq and dk are 0, and rounding of the scores' gradient is all that is left.
      CHECK(distance(dq.doubles(), finite_differences([&](const Doubles& x) { return loss(x, b, c); }, a)) < 20 * kUlp);
      CHECK(distance(dk.doubles(), finite_differences([&](const Doubles& x) { return loss(a, x, c); }, b)) < 20 * kUlp);
      CHECK(distance(dv.doubles(), finite_differences([&](const Doubles& x) { return loss(a, b, x); }, c)) < 20 * kUlp);
      CHECK((dq.gaps_untouched() && dk.gaps_untouched()));
    }
}

TEST_CASE("attention: gradients over many tiles against the formulas in double") {
  const Bounds cu{0, 5, 5, 335, 400};
  const Sizes s{2, 6, 4};
  const int tokens = cu.back();
  const auto n = [](int i) { return static_cast<std::size_t>(i); };
  Block q = Block::random(tokens, s.heads * s.d_qk, 1), k = Block::random(tokens, s.heads * s.d_qk, 2),
        v = Block::random(tokens, s.heads * s.d_v, 3);
  Block o(tokens, s.heads * s.d_v), lse(s.heads, tokens), d_o = Block::random(tokens, s.heads * s.d_v, 4);
  Block dq(tokens, s.heads * s.d_qk), dk(tokens, s.heads * s.d_qk), dv(tokens, s.heads * s.d_v);
  attention({}, q, k, v, s.heads, {cu}, 0.4f, o, lse);
  attention_backward({}, q, k, v, o, lse, d_o, s.heads, {cu}, 0.4f, dq, dk, dv);
  const Doubles out = reference(q.doubles(), k.doubles(), v.doubles(), s, cu, double{0.4f});
  Doubles eq(n(tokens * s.heads * s.d_qk)), ek(eq.size()), ev(n(tokens * s.heads * s.d_v));
  for (std::size_t d = 0; d + 1 < cu.size(); ++d)
    for (int h = 0; h < s.heads; ++h)
      for (int i = cu[d]; i < cu[d + 1]; ++i)
        for (int j = cu[d]; j <= i; ++j) {
          double score = 0, dp = 0, delta = 0;
          for (int c = 0; c < s.d_qk; ++c) score += double{q(i, h * s.d_qk + c)} * double{k(j, h * s.d_qk + c)};
          const double p = std::exp(score * double{0.4f} - out[n(tokens * s.heads * s.d_v + h * tokens + i)]);
          for (int c = 0; c < s.d_v; ++c) {
            const double g = double{d_o(i, h * s.d_v + c)};
            dp += g * double{v(j, h * s.d_v + c)};
            delta += g * out[n((i * s.heads + h) * s.d_v + c)];
            ev[n((j * s.heads + h) * s.d_v + c)] += p * g;
          }
          for (int c = 0; c < s.d_qk; ++c) {
            const double ds = p * (dp - delta) * double{0.4f};
            eq[n((i * s.heads + h) * s.d_qk + c)] += ds * double{k(j, h * s.d_qk + c)};
            ek[n((j * s.heads + h) * s.d_qk + c)] += ds * double{q(i, h * s.d_qk + c)};
          }
        }
  CHECK(distance(dq.doubles(), eq) < 20 * kUlp);
  CHECK(distance(dk.doubles(), ek) < 20 * kUlp);
  CHECK(distance(dv.doubles(), ev) < 20 * kUlp);
}

TEST_CASE("attention: documents packed equal documents alone, and a repeat gives the same bits") {
  const Bounds cu{0, 70, 371};
  Block q = Block::random(371, 16, 1), k = Block::random(371, 16, 2), v = Block::random(371, 16, 3), o(371, 16),
        lse(2, 371), again(371, 16);
  attention({}, q, k, v, 2, {cu}, 0.35f, o, lse);
  attention({}, q, k, v, 2, {cu}, 0.35f, again, lse);
  CHECK(o.floats() == again.floats());
  for (const auto& [begin, end] : {std::pair{0, 70}, {70, 371}}) {
    Block alone(end - begin, 16), alone_lse(2, end - begin);
    attention({}, q.view().row_range(begin, end), k.view().row_range(begin, end), v.view().row_range(begin, end), 2,
              {Bounds{0, end - begin}}, 0.35f, alone, alone_lse);
    for (int t = begin; t < end; ++t)
      for (int c = 0; c < 16; ++c) CHECK(alone(t - begin, c) == o(t, c));
  }
}

TEST_CASE("attention: scores far beyond exp's range are stable; NaN stays in its document and after its token") {
  Block q(3, 1, {300, 300, 300}), k(3, 1, {1, 3, 2}), v(3, 1, {1, 2, 4}), o(3, 1), lse(1, 3);
  attention({}, q, k, v, 1, {Bounds{0, 3}}, 1, o, lse);
  CHECK(o.floats() == std::vector<float>{1, 2, 2});
  CHECK(lse.floats() == std::vector<float>{300, 900, 900});
  k(1, 0) = std::numeric_limits<float>::quiet_NaN();
  attention({}, q, k, v, 1, {Bounds{0, 2, 3}}, 1, o, lse);
  CHECK(o(0, 0) == 1);
  CHECK(std::isnan(o(1, 0)));
  CHECK(o(2, 0) == 4);
}

TEST_CASE("attention: document bounds that do not fit are refused") {
  Block x(3, 2), lse(1, 3);
  for (const Bounds& cu : {Bounds{}, Bounds{0, 2}, Bounds{1, 3}, Bounds{0, 4, 3}})
    CHECK_THROWS_AS(attention({}, x, x, x, 1, {cu}, 1, x, lse), eddy::Error);
  CHECK_THROWS_AS(attention({}, x, x, x, 0, {Bounds{0, 3}}, 1, x, lse), eddy::Error);
}
