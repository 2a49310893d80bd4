#pragma once
// A block of a row-major tensor as the fewest contiguous runs of elements: how blocks meet files.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/error.h"

namespace eddy::tensor {

/// Calls visit(global, local, count) for each run, ascending: `count` elements that lie together both in the whole
/// tensor (from element `global`) and in the contiguous block (from element `local`). A block without elements has no
/// runs. shape, begin, extent have one entry a dimension; throws Error (status 1) when the block does not lie within
/// the tensor.
template <class Visit>
void for_each_run(const std::vector<std::int64_t>& shape, const std::vector<std::int64_t>& begin,
                  const std::vector<std::int64_t>& extent, Visit&& visit) {
  const std::size_t rank = shape.size();
  if (begin.size() != rank || extent.size() != rank)
    fail_run("a block of {} dimensions in a tensor of {}", extent.size(), rank);
  std::int64_t total = 1;
  for (std::size_t d = 0; d < rank; ++d) {
    if (begin[d] < 0 || extent[d] < 0 || begin[d] > shape[d] - extent[d])
      fail_run("a block from {} of {} elements does not lie within dimension {} of {}", begin[d], extent[d], d,
               shape[d]);
    total *= extent[d];
  }
  if (total == 0) return;
  // Dimensions from `inner` on are covered whole, so that a run takes all of them and a range of the one before.
  std::size_t inner = rank;
  std::int64_t inner_size = 1;
  while (inner > 0 && extent[inner - 1] == shape[inner - 1]) inner_size *= shape[--inner];
  if (inner == 0) return visit(std::int64_t{0}, std::int64_t{0}, total);
  const std::int64_t count = extent[inner - 1] * inner_size;
  std::vector<std::int64_t> index(begin.begin(), begin.begin() + static_cast<std::ptrdiff_t>(inner));
  for (std::int64_t local = 0; local < total; local += count) {
    std::int64_t global = 0;
    for (std::size_t d = 0; d < inner; ++d) global = global * shape[d] + index[d];
    visit(global * inner_size, local, count);
    for (std::size_t d = inner - 1; d-- > 0;) {  // the next run's index: the dimensions outside the run's own
      if (++index[d] < begin[d] + extent[d]) break;
      index[d] = begin[d];
    }
  }
}

/// A block of a tensor: its first index and its extent in each dimension; its elements lie row-major.
struct Block {
  std::vector<std::int64_t> begin, extent;
  std::int64_t numel() const {
    std::int64_t n = 1;
    for (const std::int64_t e : extent) n *= e;
    return n;
  }
};

/// What two blocks of a tensor have in common; without elements where that is nothing.
inline Block intersection(const Block& a, const Block& b) {
  Block out = a;
  for (std::size_t d = 0; d < a.begin.size(); ++d) {
    const std::int64_t end = std::min(a.begin[d] + a.extent[d], b.begin[d] + b.extent[d]);
    out.begin[d] = std::max(a.begin[d], b.begin[d]);
    out.extent[d] = std::max<std::int64_t>(0, end - out.begin[d]);
  }
  return out;
}

/// Calls visit(in_a, in_b, count) for each run of `box`, which lies within both blocks: `count` elements that lie
/// together in a (from its element in_a, ascending) and in b.
template <class Visit>
void for_each_shared_run(const Block& a, const Block& b, const Block& box, Visit&& visit) {
  const std::size_t rank = box.begin.size();
  if (box.numel() == 0) return;
  // Dimensions from `inner` on are whole in both blocks, so that a run takes all of them and a range of the one before.
  std::size_t inner = rank;
  std::int64_t count = 1;
  while (inner > 0 && box.extent[inner - 1] == a.extent[inner - 1] && box.extent[inner - 1] == b.extent[inner - 1])
    count *= box.extent[--inner];
  if (inner > 0) count *= box.extent[--inner];
  std::vector<std::int64_t> index = box.begin;
  for (;;) {
    std::int64_t in_a = 0, in_b = 0;
    for (std::size_t d = 0; d < rank; ++d) {
      in_a = in_a * a.extent[d] + index[d] - a.begin[d];
      in_b = in_b * b.extent[d] + index[d] - b.begin[d];
    }
    visit(in_a, in_b, count);
    std::size_t d = inner;
    for (; d-- > 0;) {  // the next run's index
      if (++index[d] < box.begin[d] + box.extent[d]) break;
      index[d] = box.begin[d];
    }
    if (d == static_cast<std::size_t>(-1)) return;
  }
}

}  // namespace eddy::tensor
