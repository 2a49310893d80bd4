// Communicators of every layout: right members, right names, and bytes sent as predicted.
#include "parallel/groups.h"

#include "base/error.h"
#include "catch.h"
#include "comm/session.h"
#include "parallel/traffic.h"

using namespace eddy::parallel;
using eddy::Dtype;

TEST_CASE("group names") {
  CHECK(group_label(Group::tp, {0, 1}) == "tp{0,1}");
  CHECK(group_label(Group::dp, {0, 8, 16, 24}) == "dp{0,8,16,24}");
  CHECK(group_label(Group::stage, {0, 1, 2, 3, 4, 5, 6, 7}) == "stage{0..7}");
  CHECK(group_label(Group::dp, {1, 3, 5, 7, 9}) == "dp{1,3,..,9}");
  CHECK(group_label(Group::pp, {3}) == "pp{3}");
}

TEST_CASE("the communicators of each layout are the mesh's groups") {
  eddy::comm::Session session;
  const int n = session.size();
  int layouts = 0;
  for (int tp = 1; tp <= n; ++tp)
    for (int pp = 1; pp <= n / tp; ++pp)
      for (int ep = 1; ep <= n; ++ep) {
        if (n % (tp * pp) != 0 || (n / pp) % ep != 0) continue;
        const Layout layout{n, tp, ep, pp, 1};
        INFO(layout.text());
        ++layouts;
        const Groups groups = make_groups(session.world(), layout);
        CHECK(groups.at.tp == groups.tp->rank());
        CHECK(groups.at.ep == groups.ep->rank());
        CHECK(groups.at.pp == groups.pp->rank());
        CHECK(&groups.of(Group::world) == &session.world());
        for (const Group g : {Group::tp, Group::dp, Group::pp, Group::ep, Group::edp, Group::stage, Group::tied}) {
          const std::vector<int> expected = members(layout, g, session.rank());
          auto& c = groups.of(g);
          CHECK(c.name() == group_label(g, expected));
          CHECK(c.size() == static_cast<int>(expected.size()));
          const std::int32_t mine = session.rank();
          std::vector<std::int32_t> seen(expected.size(), -1);
          c.all_gather(&mine, seen.data(), 1, Dtype::i32);
          CHECK(seen == std::vector<std::int32_t>(expected.begin(), expected.end()));
        }
      }
  CHECK(layouts >= 1);
}

TEST_CASE("bytes sent are those that the formulas predict") {
  eddy::comm::Session session;
  auto& c = session.world();
  const int n = c.size(), me = c.rank();
  const auto u = static_cast<std::size_t>(n);
  std::vector<float> in(16 * u), out(16 * u);
  std::uint64_t predicted = 0;
  const auto sent_as_predicted = [&](std::uint64_t more) {
    predicted += more;
    return c.bytes_sent() == predicted;
  };
  c.all_gather(in.data(), out.data(), 5, Dtype::f32);
  CHECK(sent_as_predicted(all_gather_bytes(n, 5 * 4)));
  c.reduce_scatter(in.data(), out.data(), 3, Dtype::f32);
  CHECK(sent_as_predicted(reduce_scatter_bytes(n, 3 * 4)));
  std::vector<std::size_t> counts;
  std::vector<std::uint64_t> bytes;
  for (std::size_t r = 0; r < u; ++r) {
    counts.push_back(r);
    bytes.push_back(r * 4);
  }
  c.reduce_scatter_v(in.data(), out.data(), counts, Dtype::f32);
  CHECK(sent_as_predicted(reduce_scatter_bytes(bytes, me)));
  c.all_gather_v(in.data(), out.data(), counts, Dtype::f32);
  CHECK(sent_as_predicted(all_gather_bytes(n, bytes[static_cast<std::size_t>(me)])));
  c.all_reduce(in.data(), 7, Dtype::f32, eddy::comm::Reduce::sum);
  CHECK(sent_as_predicted(all_reduce_bytes(n, 7 * 4)));
  c.all_reduce(in.data(), 7, Dtype::bf16, eddy::comm::Reduce::sum);
  CHECK(sent_as_predicted(all_reduce_bytes(n, 7 * 2)));
  c.all_to_all(in.data(), out.data(), 2, Dtype::f64);
  CHECK(sent_as_predicted(all_to_all_bytes(n, 2 * 8)));
  const std::vector<std::size_t> from(u, static_cast<std::size_t>(me));
  c.all_to_all_v(in.data(), counts, out.data(), from, Dtype::f32);
  CHECK(sent_as_predicted(all_to_all_bytes(bytes, me)));
  c.broadcast(in.data(), 9, Dtype::i32, n - 1);
  CHECK(sent_as_predicted(broadcast_bytes(n, 9 * 4, me == n - 1)));
  if (n == 1) CHECK(c.bytes_sent() == 0);
}

TEST_CASE("a layout of another size than the world is refused") {
  eddy::comm::Session session;
  CHECK_THROWS_AS(make_groups(session.world(), Layout{session.size() + 1, 1, 1, 1, 1}), eddy::Error);
}
