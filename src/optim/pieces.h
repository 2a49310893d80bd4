#pragma once
// Elements of a rank's block as boxes of the global tensor: how ZeRO's pieces are named in a checkpoint.
#include <cstdint>
#include <vector>

#include "parallel/parameter.h"

namespace eddy::optim {

/// A box of a global tensor, and where its elements begin in the rank's block (they are contiguous there).
struct Box {
  std::vector<std::int64_t> begin, extent;  ///< in the global tensor
  std::int64_t offset = 0;                  ///< elements from the start of the block
  std::int64_t numel() const;
};

/// Elements [begin, end) of a parameter's block. A range that cuts through an axis gives several boxes, in the order of
/// their elements: of a matrix the end of a row, whole rows, the start of one.
std::vector<Box> boxes_of(const parallel::ParameterInfo& info, std::int64_t begin, std::int64_t end);

}  // namespace eddy::optim
