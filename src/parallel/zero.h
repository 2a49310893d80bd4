#pragma once
// ZeRO-1: who of a replica group keeps the optimizer state and float32 master of which elements, and in which buckets
// gradients are summed and values gathered. A pure function.
#include <cstdint>
#include <span>
#include <vector>

#include "parallel/parameter.h"

namespace eddy::parallel {

/// Elements of one parameter's block, counted in its memory's order.
struct ZeroPiece {
  int parameter;            ///< index into the list given
  std::int64_t begin, end;  ///< elements
};
/// A run of parameters whose gradients are summed in one call, as soon as the backward pass has finished all of them.
/// Member r owns elements [begin + r · part, begin + (r + 1) · part) of the flat buffer: as many as any other.
struct ZeroBucket {
  int first, last;     ///< parameters [first, last) of the list given
  std::int64_t begin;  ///< its first element in the flat buffer
  std::int64_t part;   ///< elements of each member
};
struct ZeroPlan {
  int members = 1;
  std::vector<std::int64_t> offsets;  ///< where each parameter given begins in the flat buffer
  std::vector<ZeroBucket> buckets;    ///< in the order of the buffer
  std::int64_t total = 0;             ///< elements of all the trainable parameters
  std::int64_t size = 0;              ///< of the flat buffer: with what fills up the last part of each bucket
};

/// 256 MiB of float32: large enough for NVLink's and a network's full rate, small beside a layer.
constexpr std::int64_t kBucketElements = std::int64_t{1} << 26;

/// Lays the trainable parameters of one replica group kind one behind the other, in the order given, and cuts them into
/// buckets of at least `bucket_elements` each but the first, counted from the end: the order in which a backward pass
/// finishes gradients. A copy of a tied tensor, which is summed with the original first, has a bucket of its own;
/// neighbours of one shape in a layer, which products read as one, share theirs. Each bucket is filled up with less
/// than 64 elements a member. Parameters that are not trainable are passed over.
ZeroPlan zero_plan(std::span<const ParameterInfo> parameters, int members,
                   std::int64_t bucket_elements = kBucketElements);

/// What `member` owns of a bucket, in the order of the buffer.
std::vector<ZeroPiece> zero_pieces(std::span<const ParameterInfo> parameters, const ZeroPlan& plan,
                                   const ZeroBucket& bucket, int member);

}  // namespace eddy::parallel
