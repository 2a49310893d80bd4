#pragma once
#include <memory>
#include <string>
#include <vector>

#include "comm/backend.h"
#include "comm/communicator.h"
#include "parallel/mesh.h"

namespace eddy::parallel {

/// One communicator for each of a rank's groups, made in one order on all ranks.
struct Groups {
  Layout layout;
  Coordinates at;
  comm::Communicator* world = nullptr;  ///< not owned
  std::unique_ptr<comm::Communicator> tp, dp, pp, ep, edp, stage, tied;
  comm::Communicator& of(Group g) const;
};
/// Collective over `world`, whose size must be layout.world.
Groups make_groups(comm::Communicator& world, const Layout& layout);

/// Attaches to every group what carries a GPU's data (comm.backend), and to the groups of replicas what carries them on
/// the stream's lane; nothing for a CPU stream. Collective over the
/// world. Throws Error (status 2) on every rank where NCCL is asked for and ranks share a GPU.
void attach_transports(Groups& groups, comm::Backend backend, const device::Stream& stream);

/// A group's name in messages: "tp{0,1}", "stage{0..127}", "dp{0,8,..,120}".
std::string group_label(Group group, const std::vector<int>& members);

}  // namespace eddy::parallel
