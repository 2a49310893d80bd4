#pragma once
// Byte-pair encoding of one pre-token: the adjacent pair with the lowest rank is merged first, the leftmost among
// equals, until no pair has a rank (Sennrich et al. 2016; order of ties as in Hugging Face's `tokenizers`).
#include <array>
#include <cstdint>
#include <queue>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenize/definition.h"

namespace eddy::tokenize {

inline constexpr std::uint32_t kNoToken = 0xFFFFFFFFu;

/// Pair of token ids → rank and merged token: open addressing in one array. Immutable once built.
class MergeTable {
 public:
  struct Merge {
    std::uint32_t rank, result;
  };
  /// Where a pair stands twice the later rank holds, as in Hugging Face's map.
  explicit MergeTable(std::span<const MergeRule> rules);
  /// The merge of (left, right); its rank is kNoToken when there is none.
  Merge find(std::uint32_t left, std::uint32_t right) const {
    const std::uint64_t key = std::uint64_t{left} << 32 | right;
    for (std::size_t i = slot_of(key);; i = (i + 1) & mask_) {
      if (slots_[i].key == key) return slots_[i].merge;
      if (slots_[i].key == kEmpty) return {kNoToken, kNoToken};
    }
  }

 private:
  static constexpr std::uint64_t kEmpty = ~std::uint64_t{0};
  struct Slot {
    std::uint64_t key = kEmpty;
    Merge merge{kNoToken, kNoToken};
  };
  std::size_t slot_of(std::uint64_t key) const { return (key * 0x9E3779B97F4A7C15ull) >> shift_; }
  std::vector<Slot> slots_;
  std::size_t mask_ = 0;
  int shift_ = 0;
};

/// What merging needs besides the table; one per thread, reused from pre-token to pre-token.
class BpeScratch {
 public:
  /// Merges `ids` in place; O(n²) with a tiny constant for short ones, O(n log n) at worst for long ones, linear on
  /// runs.
  void merge(const MergeTable& table, std::vector<std::uint32_t>& ids);

 private:
  void merge_short(const MergeTable& table, std::vector<std::uint32_t>& ids);
  void merge_long(const MergeTable& table, std::vector<std::uint32_t>& ids);

  /// The places where the pair of one rank was seen, ascending but for an unstarted bucket that is yet to be sorted.
  struct Bucket {
    std::uint32_t rank = 0;
    bool sorted = true, waiting = false;
    std::size_t cursor = 0;
    std::vector<std::uint32_t> places{};
  };
  using Place = std::pair<std::uint32_t, std::uint32_t>;  // rank, position (or bucket)
  template <class T>
  using MinHeap = std::priority_queue<T, std::vector<T>, std::greater<T>>;
  void push(std::uint32_t rank, std::uint32_t position);
  bool pop(Place& out);

  std::vector<std::uint32_t> previous_, next_, ranks_;
  std::unordered_map<std::uint32_t, std::uint32_t> bucket_of_rank_;
  std::vector<Bucket> buckets_;
  MinHeap<Place> active_;  ///< (rank, bucket) of buckets that hold places
  MinHeap<Place> late_;    ///< (rank, position) that came out of order into a started bucket
};

}  // namespace eddy::tokenize
