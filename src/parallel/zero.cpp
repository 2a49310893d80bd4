#include "parallel/zero.h"

#include <algorithm>

#include "base/error.h"

namespace eddy::parallel {
namespace {

/// Elements that parts are multiples of: vectorised kernels and NCCL read whole lines of memory.
constexpr std::int64_t kLine = 64;

std::int64_t elements(const ParameterInfo& p) {
  return p.trainable ? p.numel() : 0;
}

/// Must both lie in one bucket? (gate and up projections)
bool together(const ParameterInfo& a, const ParameterInfo& b) {
  return a.layer == b.layer && a.extent == b.extent && a.extent.size() > 1 && a.trainable && b.trainable;
}

}  // namespace

ZeroPlan zero_plan(std::span<const ParameterInfo> parameters, int members, std::int64_t bucket_elements) {
  if (members < 1) fail_run("a ZeRO plan for {} ranks", members);
  // From the end, as a backward pass goes.
  ZeroPlan plan;
  plan.members = members;
  int last = static_cast<int>(parameters.size());
  std::int64_t held = 0;
  for (int i = last; i-- > 0;) {
    const ParameterInfo& p = parameters[static_cast<std::size_t>(i)];
    held += elements(p);
    const ParameterInfo* before = i > 0 ? &parameters[static_cast<std::size_t>(i) - 1] : nullptr;
    const bool full = held >= bucket_elements && !(before && together(*before, p));
    if (before && !full && !(p.tied_copy || before->tied_copy)) continue;
    if (held > 0) plan.buckets.push_back({i, last, 0, held});
    last = i;
    held = 0;
  }
  std::reverse(plan.buckets.begin(), plan.buckets.end());

  plan.offsets.resize(parameters.size(), 0);
  const std::int64_t line = members > 1 ? kLine : 1;
  for (ZeroBucket& b : plan.buckets) {
    plan.total += b.part;
    b.begin = plan.size;
    b.part = (b.part + members * line - 1) / (members * line) * line;
    std::int64_t at = b.begin;
    for (int i = b.first; i < b.last; ++i) {
      plan.offsets[static_cast<std::size_t>(i)] = at;
      at += elements(parameters[static_cast<std::size_t>(i)]);
    }
    plan.size = b.begin + members * b.part;
  }
  return plan;
}

std::vector<ZeroPiece> zero_pieces(std::span<const ParameterInfo> parameters, const ZeroPlan& plan,
                                   const ZeroBucket& bucket, int member) {
  const std::int64_t begin = bucket.begin + member * bucket.part, end = begin + bucket.part;
  std::vector<ZeroPiece> pieces;
  for (int i = bucket.first; i < bucket.last; ++i) {
    const std::int64_t at = plan.offsets[static_cast<std::size_t>(i)];
    const std::int64_t from = std::max(begin, at),
                       to = std::min(end, at + elements(parameters[static_cast<std::size_t>(i)]));
    if (from < to) pieces.push_back({i, from - at, to - at});
  }
  return pieces;
}

}  // namespace eddy::parallel
