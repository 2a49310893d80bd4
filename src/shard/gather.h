#pragma once
// What the ranks of a build tell each other.
#include <algorithm>
#include <functional>
#include <string>
#include <type_traits>
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

/// A vector of plain data as bytes, and back.
template <class T>
std::string as_bytes(const std::vector<T>& values) {
  static_assert(std::is_trivially_copyable_v<T>);
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}
template <class T>
std::vector<T> from_bytes(const std::string& bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(values.data()));
  return values;
}
/// From rank 0, which has all records, to each planned shard's writer (rank: its number modulo the world's size): the
/// records of the shards that the caller writes, in ascending order.
std::vector<std::vector<DocumentRecord>> hand_out(comm::Communicator& world, const std::vector<PlannedShard>& plan,
                                                  const std::vector<DocumentRecord>& records);

}  // namespace eddy::shard
