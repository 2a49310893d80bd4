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
/// Calls emit for each of a rank's records.
using EachRecord = std::function<void(const std::function<void(const DocumentRecord&)>& emit)>;
/// Collective: every rank's records on rank 0, in any order, nothing on the others, which hold a piece of them at a
/// time. `total`: how many there are. each_mine is called once on every rank; what it throws is thrown when all have
/// been heard.
std::vector<DocumentRecord> collect(comm::Communicator& world, std::uint64_t total, const EachRecord& each_mine);

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

}  // namespace eddy::shard
