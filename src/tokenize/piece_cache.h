#pragma once
// Pre-token → token ids, bounded: most pre-tokens of a text were seen before, and a look-up costs a tenth of merging.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenize/string_ids.h"

namespace eddy::tokenize {

/// A pre-token of up to 15 bytes as two words, the length in the last byte; so equal words are equal pre-tokens.
struct ShortKey {
  std::uint64_t low = 0, high = 0;
  static constexpr std::size_t kLongest = 15;
  /// `readable_end`: up to where memory may be read beyond the pre-token.
  static ShortKey of(const char* text, std::size_t size, const char* readable_end) {
    ShortKey key;
    if (readable_end - text >= 16) {
      std::memcpy(&key.low, text, 8);
      std::memcpy(&key.high, text + 8, 8);
      key.low &= mask(std::min<std::size_t>(size, 8));
      key.high &= mask(size > 8 ? size - 8 : 0);
    } else {
      char bytes[16] = {};
      std::memcpy(bytes, text, size);
      std::memcpy(&key.low, bytes, 8);
      std::memcpy(&key.high, bytes + 8, 8);
    }
    key.high |= std::uint64_t{size} << 56;
    return key;
  }

 private:
  static std::uint64_t mask(std::size_t bytes) { return bytes == 8 ? ~std::uint64_t{0} : (1ull << 8 * bytes) - 1; }
};

class PieceCache {
 public:
  static constexpr std::size_t kInline = 3;        ///< tokens that a short entry holds
  static constexpr std::size_t kLongest = 256;     ///< bytes of the longest pre-token kept
  static constexpr std::size_t kMostLong = 32768;  ///< entries of the second table, emptied when it is full

  /// One cache line holds two: a pre-token that finds neither free replaces the one used longer ago.
  struct Slot {
    ShortKey key{};
    std::uint32_t ids[kInline] = {};
    std::uint32_t count = 0;
  };

  PieceCache() : slots_(2 * kLines) {}
  /// The entry of `key`, or none.
  const Slot* find(const ShortKey& key) {
    Slot* line = &slots_[2 * line_of(key)];
    if (same(line[0].key, key)) return &line[0];
    if (!same(line[1].key, key)) return nullptr;
    std::swap(line[0], line[1]);
    return &line[0];
  }
  /// Keeps 1 to kInline ids.
  void put(const ShortKey& key, std::span<const std::uint32_t> ids) {
    Slot* line = &slots_[2 * line_of(key)];
    line[1] = line[0];
    line[0].key = key;
    line[0].count = static_cast<std::uint32_t>(ids.size());
    std::copy(ids.begin(), ids.end(), line[0].ids);
  }
  /// For pre-tokens that are longer or have more tokens.
  const std::vector<std::uint32_t>* find(std::string_view piece) const {
    const auto found = long_.find(piece);
    return found == long_.end() ? nullptr : &found->second;
  }
  void put(std::string_view piece, std::span<const std::uint32_t> ids) {
    if (long_.size() >= kMostLong) long_.clear();
    long_.emplace(piece, std::vector<std::uint32_t>(ids.begin(), ids.end()));
  }

 private:
  static constexpr std::size_t kLines = 1 << 15;  // 2 MiB
  static bool same(const ShortKey& a, const ShortKey& b) { return a.low == b.low && a.high == b.high; }
  static std::size_t line_of(const ShortKey& key) {
    std::uint64_t h = key.low * 0x9E3779B97F4A7C15ull ^ (key.high + 0x165667B19E3779F9ull) * 0xC2B2AE3D27D4EB4Full;
    h ^= h >> 32;
    return (h * 0xD6E8FEB86659FD93ull) >> 49;
  }
  std::vector<Slot> slots_;
  std::unordered_map<std::string, std::vector<std::uint32_t>, StringHash, std::equal_to<>> long_;
};

}  // namespace eddy::tokenize
