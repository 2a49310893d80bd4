#pragma once
// A named block of a global tensor: what loaders fill and checkpoints write. Knows neither model nor file format.
#include <string>
#include <vector>

#include "tensor/view.h"

namespace eddy::tensor {

struct Slice {
  std::string name;                        ///< global name
  std::vector<std::int64_t> global_shape;  ///< of the whole tensor
  std::vector<std::int64_t> begin;         ///< first index of the block in each axis
  View view;                               ///< the block's elements, contiguous; view.shape is its extent
};

}  // namespace eddy::tensor
