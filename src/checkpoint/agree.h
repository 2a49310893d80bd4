#pragma once
#include <functional>
#include <string>

#include "comm/communicator.h"

namespace eddy::checkpoint {

/// Runs `step` (which must call no collective) on every rank and waits for all. When it threw on any, every rank throws
/// the lowest failing rank's Error, with that rank's number: no rank goes on alone.
void agree(comm::Communicator& world, const std::function<void()>& step);

/// The root's bytes on every rank.
void broadcast_bytes(comm::Communicator& world, std::string& bytes, int root);

}  // namespace eddy::checkpoint
