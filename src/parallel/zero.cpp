#include "parallel/zero.h"

#include <algorithm>

#include "base/error.h"

namespace eddy::parallel {
namespace {

constexpr std::int64_t kBlockRows = 128;  // of FP8 scales; ZeRO never cuts one

struct Matrix {
  int parameter;
  std::int64_t begin, rows, cols;  ///< first element in the concatenation; shape
  std::int64_t end() const { return begin + rows * cols; }
};

/// The place nearest to `target` where `m` may be cut, as elements of the concatenation.
std::int64_t nearest_cut(const Matrix& m, std::int64_t target) {
  const std::int64_t block = kBlockRows * m.cols;
  const std::int64_t below = m.begin + (target - m.begin) / block * block;
  const std::int64_t above = std::min(below + block, m.end());
  return target - below <= above - target ? below : above;
}

}  // namespace

ZeroPlan zero_plan(std::span<const ParameterInfo> parameters, int members) {
  if (members < 1) fail_run("a ZeRO plan for {} ranks", members);
  std::vector<Matrix> matrices;
  std::int64_t total = 0;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const ParameterInfo& p = parameters[i];
    if (!p.trainable || p.numel() == 0) continue;
    const std::int64_t cols = p.extent.size() > 1 ? p.extent.back() : 1;
    matrices.push_back({static_cast<int>(i), total, p.numel() / cols, cols});
    total += p.numel();
  }

  ZeroPlan plan;
  plan.total = static_cast<std::size_t>(total);
  std::size_t at = 0;      // matrix in which the next cut lies
  std::int64_t begin = 0;  // of the member's part
  for (int r = 1; r <= members; ++r) {
    const std::int64_t target = total / members * r + total % members * r / members;
    while (at < matrices.size() && matrices[at].end() < target) ++at;
    const std::int64_t end =
        r == members || matrices.empty() ? total : std::max(begin, nearest_cut(matrices[at], target));
    auto& pieces = plan.owned.emplace_back();
    for (const Matrix& m : matrices) {
      const std::int64_t from = std::max(begin, m.begin), to = std::min(end, m.end());
      if (from < to) pieces.push_back({m.parameter, (from - m.begin) / m.cols, (to - m.begin) / m.cols});
    }
    plan.counts.push_back(static_cast<std::size_t>(end - begin));
    begin = end;
  }
  return plan;
}

}  // namespace eddy::parallel
