#pragma once
// Rows of a rank's block as boxes of the global tensor: how ZeRO's pieces are named in a checkpoint.
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

/// Rows [begin, end) of a parameter's block, counted as ZeroPiece does: all axes but the last are one (a vector's rows
/// are its elements). A range that cuts through the outer axes gives several boxes, in the order of their elements.
std::vector<Box> boxes_of_rows(const parallel::ParameterInfo& info, std::int64_t begin, std::int64_t end);
/// Elements in one such row.
std::int64_t row_width(const parallel::ParameterInfo& info);

}  // namespace eddy::optim
