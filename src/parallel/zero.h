#pragma once
// ZeRO-1: who of a replica group keeps the optimizer state and float32 master of which rows. A pure function.
#include <span>
#include <vector>

#include "parallel/parameter.h"

namespace eddy::parallel {

/// Rows of one parameter (its block seen as a matrix [extent[0]·…·extent[rank-2], extent[rank-1]]; vectors are one
/// column wide rows: a vector [n] is [n, 1]).
struct ZeroPiece {
  int parameter;            ///< index into the list given
  std::int64_t begin, end;  ///< rows
};
struct ZeroPlan {
  std::vector<std::vector<ZeroPiece>> owned;  ///< [group size]: each member's pieces, in parameter order
  std::vector<std::size_t> counts;            ///< [group size]: elements of each member
  std::size_t total = 0;                      ///< elements of all the trainable parameters, concatenated in order
};
/// Cuts the concatenation of the trainable parameters of one replica group kind into `members` contiguous parts of
/// about equal size, at multiples of 128 rows of a parameter (or at its end). Member r owns elements [Σ counts[<r], Σ
/// counts[<=r]) of the concatenation: within one 128-row block of total / members. Parameters that are not trainable
/// are passed over; so may be, with more members than blocks, a member.
ZeroPlan zero_plan(std::span<const ParameterInfo> parameters, int members);

}  // namespace eddy::parallel
