#pragma once
// The list of inputs on all ranks.
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "shard/inputs.h"

namespace eddy::shard {

/// Collective: the inputs as rank 0 finds them (without what it skipped, on the others), with the .tex files marked
/// that others draw in. Throws Error as list_inputs does, on all ranks.
InputList shared_inputs(comm::Communicator& world, const std::vector<std::string>& inputs);

}  // namespace eddy::shard
