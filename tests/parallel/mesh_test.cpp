#include "parallel/mesh.h"

#include <map>
#include <numeric>
#include <set>

#include "base/error.h"
#include "catch.h"

using namespace eddy::parallel;

namespace {

constexpr Group kGroups[] = {Group::world, Group::tp,  Group::dp,    Group::pp,
                             Group::ep,    Group::edp, Group::stage, Group::tied};

int size_of(const Layout& l, Group g, int rank) {
  switch (g) {
    case Group::world:
      return l.world;
    case Group::tp:
      return l.tp;
    case Group::dp:
      return l.dp();
    case Group::pp:
      return l.pp;
    case Group::ep:
      return l.ep;
    case Group::edp:
      return l.edp();
    case Group::stage:
      return l.stage_size();
    case Group::tied: {
      const int s = coordinates(l, rank).pp;
      return l.pp > 1 && (s == 0 || s == l.pp - 1) ? 2 : 1;
    }
  }
  return 0;
}

std::string refusal(const Layout& l, const Divisors& m) {
  try {
    validate(l, m);
  } catch (const eddy::Error& e) {
    CHECK(e.status() == eddy::Exit::unusable);
    return e.what();
  }
  return "accepted";
}

const Divisors kR1{.heads = 128, .experts = 256, .dense_width = 18432, .layers = 61};

}  // namespace

TEST_CASE("eight ranks, worked by hand") {
  const Layout l{.world = 8, .tp = 2, .ep = 4, .pp = 2};
  CHECK(l.dp() == 2);
  CHECK(l.stage_size() == 4);
  CHECK(l.edp() == 1);
  CHECK(l.text() == "TP2 EP4 PP2 DP2 (8 ranks)");
  const Coordinates c = coordinates(l, 7);
  CHECK(c.pp == 1);
  CHECK(c.dp == 1);
  CHECK(c.tp == 1);
  CHECK(c.ep == 3);
  CHECK(c.edp == 0);
  using Ranks = std::vector<int>;
  CHECK(members(l, Group::tp, 7) == Ranks{6, 7});
  CHECK(members(l, Group::dp, 7) == Ranks{5, 7});
  CHECK(members(l, Group::pp, 7) == Ranks{3, 7});
  CHECK(members(l, Group::ep, 7) == Ranks{4, 5, 6, 7});
  CHECK(members(l, Group::edp, 7) == Ranks{7});
  CHECK(members(l, Group::stage, 7) == Ranks{4, 5, 6, 7});
  CHECK(members(l, Group::tied, 7) == Ranks{3, 7});
  CHECK(Layout{}.text() == "TP1 EP1 PP1 DP1 (1 rank)");
}

TEST_CASE("experts cut across tensor and data parallelism") {
  const Layout l{.world = 8, .tp = 2, .ep = 2, .pp = 1};
  CHECK(members(l, Group::edp, 5) == std::vector<int>{1, 3, 5, 7});
  CHECK(members(l, Group::ep, 5) == std::vector<int>{4, 5});
  CHECK(members(l, Group::tied, 5) == std::vector<int>{5});
}

TEST_CASE("middle stages are tied to nobody") {
  const Layout l{.world = 4, .tp = 1, .ep = 1, .pp = 4};
  CHECK(members(l, Group::tied, 0) == std::vector<int>{0, 3});
  CHECK(members(l, Group::tied, 1) == std::vector<int>{1});
  CHECK(members(l, Group::tied, 3) == std::vector<int>{0, 3});
}

TEST_CASE("groups partition the world, of every size up to 2,048 ranks") {
  for (const Layout& l : {Layout{2048, 1, 64, 16, 1}, Layout{2048, 8, 32, 8, 1}, Layout{2048, 2, 256, 4, 1},
                          Layout{48, 4, 6, 2, 1}, Layout{30, 3, 15, 2, 1}, Layout{1, 1, 1, 1, 1}}) {
    INFO(l.text());
    validate(l, {});
    for (const Group g : kGroups) {
      INFO(name_of(g));
      std::map<std::vector<int>, int> said;  // by how many ranks each group is named
      int bad = 0;
      for (int r = 0; r < l.world; ++r) {
        const auto m = members(l, g, r);
        bad += !std::is_sorted(m.begin(), m.end()) || !std::binary_search(m.begin(), m.end(), r) ||
               static_cast<int>(m.size()) != size_of(l, g, r);
        ++said[m];
      }
      CHECK(bad == 0);
      std::vector<int> all;
      for (const auto& [m, by] : said) {
        bad += by != static_cast<int>(m.size());  // each of its ranks names the same group
        all.insert(all.end(), m.begin(), m.end());
      }
      CHECK(bad == 0);
      std::sort(all.begin(), all.end());
      std::vector<int> every(static_cast<std::size_t>(l.world));
      std::iota(every.begin(), every.end(), 0);
      CHECK(all == every);
    }
  }
}

TEST_CASE("coordinates are the places within the groups") {
  const Layout l{.world = 48, .tp = 4, .ep = 6, .pp = 2};
  int wrong = 0;
  for (int r = 0; r < l.world; ++r) {
    const Coordinates c = coordinates(l, r);
    const auto place = [&](Group g) {
      const auto m = members(l, g, r);
      return static_cast<int>(std::find(m.begin(), m.end(), r) - m.begin());
    };
    wrong += place(Group::tp) != c.tp || place(Group::dp) != c.dp || place(Group::pp) != c.pp ||
             place(Group::ep) != c.ep || place(Group::edp) != c.edp;
    wrong += r != (c.pp * l.dp() + c.dp) * l.tp + c.tp;
    wrong += r % l.stage_size() != c.edp * l.ep + c.ep;
  }
  CHECK(wrong == 0);
}

TEST_CASE("possible layouts are accepted") {
  CHECK(refusal({2048, 1, 64, 16, 1}, kR1) == "accepted");
  CHECK(refusal({16, 16, 16, 1, 1}, kR1) == "accepted");
  CHECK(refusal({61, 1, 1, 61, 1}, kR1) == "accepted");
  CHECK(refusal({6, 3, 2, 1, 1}, {}) == "accepted");
}

TEST_CASE("impossible layouts are refused: the option, why, and what is possible") {
  const auto says = [](const Layout& l, const std::string& why, const Divisors& m = kR1) {
    const std::string text = refusal(l, m);
    CHECK_THAT(text, contains_text(why));
    CHECK_THAT(text, contains_text("Nearest possible layouts: TP"));
  };
  says({8, 0, 1, 1, 1}, "parallel.tp = 0: at least 1 is needed");
  says({8, 1, -4, 1, 1}, "parallel.ep = -4: at least 1 is needed");
  says({8, 1, 1, 0, 1}, "parallel.pp = 0: at least 1 is needed");
  says({8, 1, 1, 1, 0}, "parallel.cp = 0: at least 1 is needed");
  says({0, 1, 1, 1, 1}, "parallel.world = 0: at least 1 is needed");
  says({8, 1, 1, 1, 2}, "parallel.cp = 2: context parallelism comes in a later version");
  says({9, 3, 1, 1, 1}, "parallel.tp = 3 does not divide the model's 128 attention heads");
  says({16, 16, 1, 1, 1}, "parallel.tp = 16 does not divide the width 24 of the model's dense layers",
       {.heads = 32, .experts = 8, .dense_width = 24, .layers = 4});
  says({64, 1, 1, 64, 1}, "parallel.pp = 64 is more than the model's 61 layers");
  says({24, 1, 24, 1, 1}, "parallel.ep = 24 does not divide the model's 256 routed experts");
  says({4, 2, 1, 4, 1}, "parallel.tp × parallel.pp = 2 × 4 needs 8 ranks or a multiple of it, but there are 4");
  says({1, 2, 1, 1, 1}, "needs 2 ranks or a multiple of it, but there is 1");
  says({12, 2, 1, 4, 1}, "parallel.tp × parallel.pp = 2 × 4 does not divide the 12 ranks");
  says({8, 1, 8, 2, 1}, "parallel.ep = 8 does not divide the 4 ranks of a pipeline stage (8 ranks / parallel.pp = 2)");
}

TEST_CASE("the layouts proposed are near, and would themselves be accepted") {
  const std::string text = refusal({8, 1, 8, 2, 1}, kR1);
  CHECK_THAT(text, contains_text("TP1 EP4 PP2 DP4 (8 ranks)"));
  CHECK_THAT(text, contains_text("TP1 EP8 PP1 DP8 (8 ranks)"));
  CHECK_THAT(refusal({9, 3, 1, 1, 1}, kR1), contains_text("layouts: TP1 EP1 PP1 DP9 (9 ranks)"));
  CHECK_THAT(refusal({12, 2, 1, 4, 1}, kR1), contains_text("TP2 EP1 PP3 DP2 (12 ranks)"));
  CHECK_THAT(refusal({1, 2, 1, 1, 1}, kR1), contains_text("TP1 EP1 PP1 DP1 (1 rank)"));
}

TEST_CASE("a search over a large world is quick") {
  CHECK_THAT(refusal({2048, 2, 64, 62, 1}, kR1), contains_text("2048 ranks"));
  CHECK_THAT(refusal({720720, 7, 64, 62, 1}, kR1), contains_text("Nearest"));
}
