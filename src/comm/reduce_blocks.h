#pragma once
// Element-wise sums (maxima, minima) of several ranks' blocks, in the order given.
#include <cstddef>
#include <span>

#include "base/dtype.h"
#include "comm/communicator.h"

namespace eddy::comm {

/// Throws Error (status 1) for a type that has no sum: f8e4m3.
void require_reducible(Dtype dtype);

/// out[i] = in[0][i] ∘ in[1][i] ∘ …, from left to right; bf16 is computed in float32 and rounded once. `out` may be one
/// of the inputs.
void reduce_blocks(std::span<const void* const> in, void* out, std::size_t count, Dtype dtype, Reduce op);

}  // namespace eddy::comm
