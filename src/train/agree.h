#pragma once
#include <functional>

#include "comm/communicator.h"

namespace eddy::train {

/// Runs `work` on rank 0 only. What it throws is thrown on every rank, with the same status. Collective.
void on_rank_0(comm::Communicator& world, const std::function<void()>& work);

}  // namespace eddy::train
