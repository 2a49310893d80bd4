#pragma once
#include <memory>

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

}  // namespace eddy::parallel
