#include "parallel/groups.h"

#include "base/error.h"
#include "comm/transports.h"
#include "device/lane.h"

namespace eddy::parallel {

comm::Communicator& Groups::of(Group g) const {
  switch (g) {
    case Group::world:
      return *world;
    case Group::tp:
      return *tp;
    case Group::dp:
      return *dp;
    case Group::pp:
      return *pp;
    case Group::ep:
      return *ep;
    case Group::edp:
      return *edp;
    case Group::stage:
      return *stage;
    case Group::tied:
      return *tied;
  }
  fail_run("no such group: {}", static_cast<int>(g));
}

std::string group_label(Group group, const std::vector<int>& members) {
  const std::string name = name_of(group);
  const std::size_t n = members.size();
  if (n > 4) {  // all groups of a mesh are evenly spaced
    if (members[1] == members[0] + 1) return fmt::format("{}{{{}..{}}}", name, members[0], members[n - 1]);
    return fmt::format("{}{{{},{},..,{}}}", name, members[0], members[1], members[n - 1]);
  }
  return fmt::format("{}{{{}}}", name, fmt::join(members, ","));
}

Groups make_groups(comm::Communicator& world, const Layout& layout) {
  if (world.size() != layout.world)
    fail_run("the layout {} needs {} ranks, {} has {}", layout.text(), layout.world, world.name(), world.size());
  Groups g;
  g.layout = layout;
  g.at = coordinates(layout, world.rank());
  g.world = &world;
  const auto make = [&](Group group) {
    const auto ranks = members(layout, group, world.rank());
    return world.split(ranks, group_label(group, ranks));
  };
  g.tp = make(Group::tp);
  g.dp = make(Group::dp);
  g.pp = make(Group::pp);
  g.ep = make(Group::ep);
  g.edp = make(Group::edp);
  g.stage = make(Group::stage);
  g.tied = make(Group::tied);
  return g;
}

void attach_transports(Groups& g, comm::Backend backend, const device::Stream& stream) {
  if (!stream.on_gpu()) return;
  comm::Transports transports(*g.world, backend);
  transports.attach(*g.world);
  for (auto* group : {g.tp.get(), g.dp.get(), g.ep.get(), g.edp.get(), g.stage.get(), g.tied.get()})
    transports.attach(*group);
  transports.attach(*g.pp, comm::Messages::neighbours);
  for (auto* group : {g.dp.get(), g.edp.get(), g.stage.get()})
    transports.attach_lane(*group, device::lane(stream, device::Lane::state));
  transports.attach_lane(*g.ep, device::lane(stream, device::Lane::rows));
}

}  // namespace eddy::parallel
