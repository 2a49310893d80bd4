#pragma once
// Documents that are copies of each other, found by all ranks together; the same whatever their number and order.
#include <cstdint>
#include <functional>
#include <vector>

#include "comm/communicator.h"
#include "shard/plan.h"

namespace eddy::shard {

/// A document (its number among all) and a key; documents that share a key are copies of each other.
struct KeyedDocument {
  std::uint64_t key = 0, document = 0;
};
/// Two copies; `first` < `second`.
struct CopyEdge {
  std::uint64_t first = 0, second = 0;
};

/// Collective. each_key(emit) calls emit for all of the caller's keys, the same ones every time it is asked; `keys` is
/// how many all ranks have. Keys go to the rank that their value names, in as many passes as keep `at_once` of them in
/// a rank's memory; there equal ones meet. Rank 0 gets every document of a group with the group's first: its connected
/// components are the copies. edge(e) is called on rank 0 only.
void find_copies(comm::Communicator& world, std::uint64_t keys, std::uint64_t at_once,
                 const std::function<void(const std::function<void(KeyedDocument)>& emit)>& each_key,
                 const std::function<void(CopyEdge)>& edge);

/// Connected components: union by the smaller number, paths halved.
class Components {
 public:
  explicit Components(std::uint64_t n);  ///< n < 2^32
  void join(std::uint64_t a, std::uint64_t b);
  std::uint64_t of(std::uint64_t i);  ///< the smallest number in i's component

 private:
  std::vector<std::uint32_t> parent_;
};

/// Marks copies in records sorted by place, and gives each component one key for the split (the least), so that copies
/// share a split even where they are not dropped. Of a component the first by this order stays: LaTeX before plain text
/// before PDF; more tokens; smaller key; smaller hash; earlier place. A pair made from a dropped text is dropped with
/// it, and one that the user has given as well. With `keep_all` only copies of pairs are dropped. Returns for each
/// record the one that is kept instead of it (itself, if kept).
std::vector<std::uint32_t> mark_copies(std::vector<DocumentRecord>& records, Components& components, bool keep_all);

}  // namespace eddy::shard
