#include "shard/plan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>

#include "base/error.h"
#include "base/rng.h"

namespace eddy::shard {
namespace {

std::uint64_t keyed(std::uint64_t key, const SplitFractions& f) {
  return mix(f.seed, key);
}
double uniform(std::uint64_t bits) {
  return static_cast<double>(bits) * 0x1p-64;
}

/// Gives `to` the documents of the least keyed hash in the largest other split. `split` [kept]: of records[kept[i]].
void fill_empty(std::vector<Split>& split, const std::vector<std::uint32_t>& kept,
                const std::vector<DocumentRecord>& records, const SplitFractions& f, Split to) {
  std::array<std::uint64_t, 3> count{};
  for (Split s : split) ++count[static_cast<std::size_t>(s)];
  if (count[static_cast<std::size_t>(to)] > 0) return;
  const auto from = static_cast<Split>(std::max_element(count.begin(), count.end()) - count.begin());
  const auto key_of = [&](std::size_t i) { return keyed(records[kept[i]].key(), f); };
  std::uint64_t least = ~std::uint64_t{0}, copies = 0;
  for (std::size_t i = 0; i < split.size(); ++i) {
    if (split[i] != from) continue;
    const std::uint64_t k = key_of(i);
    copies = k < least ? 1 : copies + (k == least);
    least = std::min(least, k);
  }
  if (copies == count[static_cast<std::size_t>(from)]) return;
  for (std::size_t i = 0; i < split.size(); ++i)
    if (split[i] == from && key_of(i) == least) split[i] = to;
}

/// How often a document of the training split is written.
std::uint64_t copies_of(const DocumentRecord& r, std::uint64_t seed) {
  const double weight = r.weight, whole = std::floor(weight);
  constexpr std::uint64_t kSite = 0x436F70696573;  // apart from what decides the split
  return static_cast<std::uint64_t>(whole) + (uniform(mix(mix(seed, kSite), r.hash)) < weight - whole);
}

}  // namespace

Split split_of(std::uint64_t key, const SplitFractions& f) {
  if (!(f.validation >= 0) || !(f.test >= 0) || f.validation + f.test > 1)
    fail_input("split.validation {} and split.test {}: give fractions from 0 to 1 that sum to at most 1", f.validation,
               f.test);
  if (f.folds == 0 && f.fold > 0) fail_input("fold {} of none: say by folds how many there are", f.fold);
  if (f.folds == 1 || (f.folds > 0 && f.fold >= f.folds))
    fail_input("fold {} of {}: give at least 2 folds, and a fold from 0 to folds - 1", f.fold, f.folds);
  const double u = uniform(keyed(key, f));
  if (f.folds > 0) {  // the test split stays what it is in every fold
    if (u >= 1 - f.test) return Split::test;
    const auto fold = static_cast<std::uint64_t>(u / (1 - f.test) * static_cast<double>(f.folds));
    return fold == f.fold ? Split::validation : Split::train;
  }
  return u < f.validation ? Split::validation : u < f.validation + f.test ? Split::test : Split::train;
}

Plan plan_shards(const std::vector<DocumentRecord>& records, const SplitFractions& f, std::uint64_t shard_tokens) {
  std::vector<std::uint32_t> kept;
  kept.reserve(records.size());
  for (std::uint32_t i = 0; i < records.size(); ++i)
    if (records[i].dropped == Dropped::no) kept.push_back(i);
  std::sort(kept.begin(), kept.end(), [&](std::uint32_t i, std::uint32_t j) {
    const DocumentRecord &a = records[i], &b = records[j];
    return std::tie(a.set, a.unit, a.number) < std::tie(b.set, b.unit, b.number);
  });
  std::vector<Split> split;
  split.reserve(kept.size());
  for (const std::uint32_t i : kept) split.push_back(split_of(records[i].key(), f));
  if (f.validation > 0 || f.folds > 0) fill_empty(split, kept, records, f, Split::validation);
  if (f.test > 0) fill_empty(split, kept, records, f, Split::test);

  Plan plan;
  plan.order.reserve(kept.size());
  std::size_t set_begin = 0, set_end = 0;
  for (; set_begin < kept.size(); set_begin = set_end) {
    const std::uint8_t set = records[kept[set_begin]].set;
    while (set_end < kept.size() && records[kept[set_end]].set == set) ++set_end;
    for (Split s : {Split::train, Split::validation, Split::test}) {
      std::uint64_t index = 0, tokens = 0;
      bool open = false;
      for (std::size_t i = set_begin; i < set_end; ++i) {
        if (split[i] != s) continue;
        const DocumentRecord& r = records[kept[i]];
        for (std::uint64_t n = s == Split::train ? copies_of(r, f.seed) : 1; n > 0; --n) {
          if (!open || tokens + r.tokens > shard_tokens) {
            plan.shards.push_back({s, set, index++, plan.order.size(), plan.order.size()});
            tokens = 0;
            open = true;
          }
          plan.order.push_back(kept[i]);
          tokens += r.tokens;
          plan.shards.back().end = plan.order.size();
        }
      }
    }
  }
  return plan;
}

}  // namespace eddy::shard
