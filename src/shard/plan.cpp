#include "shard/plan.h"

#include <algorithm>
#include <tuple>

#include "base/error.h"
#include "base/rng.h"

namespace eddy::shard {
namespace {

std::uint64_t keyed(std::uint64_t hash, const SplitFractions& f) {
  return mix(f.seed, hash);
}

/// Gives `to` the documents of the least keyed hash in the largest other split.
void fill_empty(std::vector<Split>& split, const std::vector<DocumentRecord>& records, const SplitFractions& f,
                Split to) {
  std::array<std::uint64_t, 3> count{};
  for (Split s : split) ++count[static_cast<std::size_t>(s)];
  if (count[static_cast<std::size_t>(to)] > 0) return;
  const auto from = static_cast<Split>(std::max_element(count.begin(), count.end()) - count.begin());
  std::uint64_t least = ~std::uint64_t{0}, copies = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (split[i] != from) continue;
    const std::uint64_t k = keyed(records[i].hash, f);
    copies = k < least ? 1 : copies + (k == least);
    least = std::min(least, k);
  }
  if (copies == count[static_cast<std::size_t>(from)]) return;
  for (std::size_t i = 0; i < records.size(); ++i)
    if (split[i] == from && keyed(records[i].hash, f) == least) split[i] = to;
}

}  // namespace

Split split_of(std::uint64_t hash, const SplitFractions& f) {
  if (!(f.validation >= 0) || !(f.test >= 0) || f.validation + f.test > 1)
    fail_input("split.validation {} and split.test {}: give fractions from 0 to 1 that sum to at most 1", f.validation,
               f.test);
  const double u = static_cast<double>(keyed(hash, f)) * 0x1p-64;
  return u < f.validation ? Split::validation : u < f.validation + f.test ? Split::test : Split::train;
}

std::vector<PlannedShard> plan_shards(std::vector<DocumentRecord>& records, const SplitFractions& f,
                                      std::uint64_t shard_tokens) {
  std::sort(records.begin(), records.end(), [](const DocumentRecord& a, const DocumentRecord& b) {
    return std::tie(a.unit, a.number) < std::tie(b.unit, b.number);
  });
  std::vector<Split> split;
  split.reserve(records.size());
  for (const DocumentRecord& r : records) split.push_back(split_of(r.hash, f));
  if (f.validation > 0) fill_empty(split, records, f, Split::validation);
  if (f.test > 0) fill_empty(split, records, f, Split::test);

  std::vector<DocumentRecord> sorted;
  sorted.reserve(records.size());
  std::vector<PlannedShard> shards;
  for (Split s : {Split::train, Split::validation, Split::test}) {
    std::uint64_t index = 0, tokens = 0;
    bool open = false;
    for (std::size_t i = 0; i < records.size(); ++i) {
      if (split[i] != s) continue;
      if (!open || tokens + records[i].tokens > shard_tokens) {
        shards.push_back({s, index++, sorted.size(), sorted.size()});
        tokens = 0;
        open = true;
      }
      sorted.push_back(records[i]);
      tokens += records[i].tokens;
      shards.back().end = sorted.size();
    }
  }
  records = std::move(sorted);
  return shards;
}

}  // namespace eddy::shard
