#include "shard/order.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/rng.h"

namespace eddy::shard {

Permutation::Permutation(std::uint64_t n, std::uint64_t key)
    : n_(n), key_(key), half_bits_(std::max(1, (static_cast<int>(std::bit_width(n > 0 ? n - 1 : 0)) + 1) / 2)) {
  mask_ = (std::uint64_t{1} << half_bits_) - 1;
}

std::uint64_t Permutation::once(std::uint64_t i) const {
  std::uint64_t left = i >> half_bits_, right = i & mask_;
  for (std::uint64_t round = 0; round < 6; ++round) {
    const std::uint64_t f = mix(mix(key_, round), right) & mask_;
    left ^= f;
    std::swap(left, right);
  }
  return left << half_bits_ | right;
}

std::uint64_t Permutation::operator()(std::uint64_t i) const {
  if (i >= n_) fail_run("row {} of {}", i, n_);
  do i = once(i);
  while (i >= n_);
  return i;
}

Mixture::Mixture(const std::vector<double>& weights) {
  const std::size_t n = weights.size();
  if (n == 0 || n > kPeriod) fail_input("{} sources to mix; 1 to {} are supported", n, kPeriod);
  if (n == 1) return;
  // Largest remainders, each source at least once.
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<double> left(n);
  std::uint64_t given = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double exact = weights[i] / sum * static_cast<double>(kPeriod);
    share_.push_back(std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::floor(exact))));
    left[i] = exact - static_cast<double>(share_[i]);
    given += share_[i];
  }
  while (given != kPeriod) {
    const bool more = given < kPeriod;
    std::size_t best = n;
    for (std::size_t i = 0; i < n; ++i)
      if ((more || share_[i] > 1) && (best == n || (more ? left[i] > left[best] : left[i] < left[best]))) best = i;
    share_[best] += more ? 1 : std::uint64_t(-1);
    left[best] += more ? -1 : 1;
    given += more ? 1 : std::uint64_t(-1);
  }
  // Of the sources that may come next, the one that must come soonest.
  source_.resize(kPeriod);
  nth_.resize(kPeriod);
  std::vector<std::uint32_t> count(n, 0);
  const double slack = 1.0 / (2.0 * static_cast<double>(n) - 2.0);
  for (std::uint64_t t = 0; t < kPeriod; ++t) {
    std::size_t best = n, furthest = 0;
    double soonest = 0, most = -2;
    for (std::size_t i = 0; i < n; ++i) {
      const double share = static_cast<double>(share_[i]) / static_cast<double>(kPeriod);
      const double behind = share * static_cast<double>(t + 1) - count[i];
      if (behind > most) most = behind, furthest = i;
      const double deadline = (1 - slack - behind) / share;
      if (behind >= slack && (best == n || deadline < soonest)) soonest = deadline, best = i;
    }
    if (best == n) best = furthest;  // none may by a rounding error
    source_[t] = static_cast<std::uint16_t>(best);
    nth_[t] = count[best]++;
  }
}

Mixture::Draw Mixture::operator()(std::uint64_t row) const {
  if (source_.empty()) return {0, row};
  const std::size_t source = source_[row % kPeriod];
  return {source, row / kPeriod * share_[source] + nth_[row % kPeriod]};
}

}  // namespace eddy::shard
