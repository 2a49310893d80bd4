#include "tokenize/bpe.h"

#include <algorithm>
#include <bit>

namespace eddy::tokenize {

MergeTable::MergeTable(std::span<const MergeRule> rules) {
  const std::size_t size = std::bit_ceil(std::max<std::size_t>(2 * rules.size(), 16));
  slots_.resize(size);
  mask_ = size - 1;
  shift_ = 64 - std::countr_zero(size);
  for (std::size_t rank = 0; rank < rules.size(); ++rank) {
    const std::uint64_t key = std::uint64_t{rules[rank].left} << 32 | rules[rank].right;
    std::size_t i = slot_of(key);
    while (slots_[i].key != kEmpty && slots_[i].key != key) i = (i + 1) & mask_;
    slots_[i] = {key, {static_cast<std::uint32_t>(rank), rules[rank].result}};
  }
}

void BpeScratch::merge(const MergeTable& table, std::vector<std::uint32_t>& ids) {
  if (ids.size() < 2) return;
  if (ids.size() <= 48)
    merge_short(table, ids);
  else
    merge_long(table, ids);
}

void BpeScratch::merge_short(const MergeTable& table, std::vector<std::uint32_t>& ids) {
  ranks_.resize(ids.size());
  next_.resize(ids.size());  // here: the token that the pair would become
  const auto look_up = [&](std::size_t i) {
    const auto merge = table.find(ids[i], ids[i + 1]);
    ranks_[i] = merge.rank;
    next_[i] = merge.result;
  };
  std::size_t n = ids.size();
  for (std::size_t i = 0; i + 1 < n; ++i) look_up(i);
  while (n > 1) {
    const auto pairs = std::span(ranks_).first(n - 1);
    const auto best = static_cast<std::size_t>(std::min_element(pairs.begin(), pairs.end()) - pairs.begin());
    if (ranks_[best] == kNoToken) break;
    ids[best] = next_[best];
    const auto close_gap = [&](std::vector<std::uint32_t>& v) {
      std::copy(v.begin() + static_cast<std::ptrdiff_t>(best) + 2, v.begin() + static_cast<std::ptrdiff_t>(n),
                v.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    };
    close_gap(ids);
    close_gap(ranks_);
    close_gap(next_);
    --n;
    if (best > 0) look_up(best - 1);
    if (best + 1 < n) look_up(best);
  }
  ids.resize(n);
}

void BpeScratch::push(std::uint32_t rank, std::uint32_t position) {
  const auto [found, fresh] = bucket_of_rank_.try_emplace(rank, static_cast<std::uint32_t>(buckets_.size()));
  if (fresh) buckets_.push_back({.rank = rank});
  Bucket& bucket = buckets_[found->second];
  const bool in_order = bucket.places.empty() || bucket.places.back() < position;
  if (!in_order && bucket.cursor > 0) {
    late_.emplace(rank, position);
    return;
  }
  bucket.sorted = bucket.sorted && in_order;
  bucket.places.push_back(position);
  if (!bucket.waiting) active_.emplace(rank, found->second);
  bucket.waiting = true;
}

bool BpeScratch::pop(Place& out) {
  if (active_.empty() && late_.empty()) return false;
  if (!active_.empty()) {
    Bucket& bucket = buckets_[active_.top().second];
    if (!bucket.sorted) std::sort(bucket.places.begin(), bucket.places.end());
    bucket.sorted = true;
    const Place first{bucket.rank, bucket.places[bucket.cursor]};
    if (late_.empty() || first < late_.top()) {
      out = first;
      if (++bucket.cursor == bucket.places.size()) {
        bucket.places.clear();
        bucket.cursor = 0;
        bucket.waiting = false;
        active_.pop();
      }
      return true;
    }
  }
  out = late_.top();
  late_.pop();
  return true;
}

void BpeScratch::merge_long(const MergeTable& table, std::vector<std::uint32_t>& ids) {
  const auto n = static_cast<std::uint32_t>(ids.size());
  previous_.resize(n);
  next_.resize(n);
  ranks_.assign(n, kNoToken);  // of the pair that begins at each position, by which stale places are told
  bucket_of_rank_.clear();
  buckets_.clear();
  const auto look_up = [&](std::uint32_t i) {
    ranks_[i] = next_[i] == n ? kNoToken : table.find(ids[i], ids[next_[i]]).rank;
    if (ranks_[i] != kNoToken) push(ranks_[i], i);
  };
  for (std::uint32_t i = 0; i < n; ++i) {
    previous_[i] = i - 1;  // of the first: kNoToken
    next_[i] = i + 1;
  }
  for (std::uint32_t i = 0; i < n; ++i) look_up(i);
  for (Place place; pop(place);) {
    const auto [rank, at] = place;
    if (ranks_[at] != rank) continue;
    const std::uint32_t gone = next_[at];
    ids[at] = table.find(ids[at], ids[gone]).result;
    next_[at] = next_[gone];
    ranks_[gone] = kNoToken;
    if (next_[at] != n) previous_[next_[at]] = at;
    if (previous_[at] != kNoToken) look_up(previous_[at]);
    look_up(at);
  }
  std::size_t kept = 0;
  for (std::uint32_t i = 0; i != n; i = next_[i]) ids[kept++] = ids[i];
  ids.resize(kept);
}

}  // namespace eddy::tokenize
