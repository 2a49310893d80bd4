#pragma once
// What the collectives send: predictions that the communicators' counters (comm/communicator.h, bytes_sent) are
// compared with. Bytes that one rank of a group of `n` sends to others.
#include <cstdint>
#include <numeric>
#include <span>

namespace eddy::parallel {

/// Ring: every other rank's copy of this rank's block.
constexpr std::uint64_t all_gather_bytes(int n, std::uint64_t own_bytes) {
  return static_cast<std::uint64_t>(n - 1) * own_bytes;
}
/// Blocks of equal size: this rank's contribution to every other rank's block.
constexpr std::uint64_t reduce_scatter_bytes(int n, std::uint64_t block_bytes) {
  return static_cast<std::uint64_t>(n - 1) * block_bytes;
}
/// Blocks of different sizes, by rank: all but rank `own`'s.
constexpr std::uint64_t reduce_scatter_bytes(std::span<const std::uint64_t> block_bytes, int own) {
  return std::accumulate(block_bytes.begin(), block_bytes.end(), std::uint64_t{0}) -
         block_bytes[static_cast<std::size_t>(own)];
}
/// Ring: a reduce-scatter and an all-gather of `bytes` / n each; rounded down.
constexpr std::uint64_t all_reduce_bytes(int n, std::uint64_t bytes) {
  return 2 * static_cast<std::uint64_t>(n - 1) * bytes / static_cast<std::uint64_t>(n);
}
/// `pair_bytes` to each other rank.
constexpr std::uint64_t all_to_all_bytes(int n, std::uint64_t pair_bytes) {
  return static_cast<std::uint64_t>(n - 1) * pair_bytes;
}
/// Different amounts to each rank: all but what rank `own` keeps.
constexpr std::uint64_t all_to_all_bytes(std::span<const std::uint64_t> bytes_to, int own) {
  return reduce_scatter_bytes(bytes_to, own);
}
/// The root counts a copy for each other rank, the others nothing.
constexpr std::uint64_t broadcast_bytes(int n, std::uint64_t bytes, bool root) {
  return root ? static_cast<std::uint64_t>(n - 1) * bytes : 0;
}

}  // namespace eddy::parallel
