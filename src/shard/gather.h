#pragma once
// What the ranks of a build tell each other.
#include <functional>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "shard/plan.h"

namespace eddy::shard {

/// Runs work that needs no other rank. When it failed anywhere, every rank throws the Error of the first that failed,
/// so that no rank waits for one that gave up.
void together(comm::Communicator& world, const std::function<void()>& work);

/// Every rank's bytes on every rank, by rank.
std::vector<std::string> share(comm::Communicator& world, const std::string& mine);
/// Rank 0's bytes on every rank.
std::string tell(comm::Communicator& world, const std::string& of_rank_0);
/// Every rank's records on rank 0, in any order; nothing on the others.
std::vector<DocumentRecord> collect(comm::Communicator& world, const std::vector<DocumentRecord>& mine);
/// From rank 0, which has all records, to each planned shard's writer (rank: its number modulo the world's size): the
/// records of the shards that the caller writes, in ascending order.
std::vector<std::vector<DocumentRecord>> hand_out(comm::Communicator& world, const std::vector<PlannedShard>& plan,
                                                  const std::vector<DocumentRecord>& records);

}  // namespace eddy::shard
