#pragma once
// A group of one: copies, no messages, no MPI.
#include <memory>
#include <string>

#include "comm/communicator.h"

namespace eddy::comm {

/// A communicator of size 1: collectives copy, bytes_sent() stays 0; isend and recv have no peer and throw. Needs no
/// MPI.
std::unique_ptr<Communicator> self_communicator(const std::string& name);

}  // namespace eddy::comm
