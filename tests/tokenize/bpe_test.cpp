#include "tokenize/bpe.h"

#include <random>

#include "catch.h"

using namespace eddy::tokenize;

namespace {

/// The definition, step by step: the lowest rank, the leftmost of its places.
std::vector<std::uint32_t> by_definition(const MergeTable& table, std::vector<std::uint32_t> ids) {
  for (;;) {
    std::size_t best = ids.size();
    std::uint32_t rank = kNoToken;
    for (std::size_t i = 0; i + 1 < ids.size(); ++i)
      if (const auto merge = table.find(ids[i], ids[i + 1]); merge.rank < rank) {
        rank = merge.rank;
        best = i;
      }
    if (best == ids.size()) return ids;
    ids[best] = table.find(ids[best], ids[best + 1]).result;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

/// Random merges over `letters` letters. Sorted ones, as training gives them, only build on earlier results; shuffled
/// ones may have a lower rank than the merges they need.
std::vector<MergeRule> random_rules(std::mt19937& random, std::uint32_t letters, std::uint32_t count, bool shuffled) {
  std::vector<MergeRule> rules;
  for (std::uint32_t i = 0; i < count; ++i) {
    std::uniform_int_distribution<std::uint32_t> token(0, letters + i - 1);
    rules.push_back({token(random), token(random), letters + i});
  }
  if (shuffled) std::shuffle(rules.begin(), rules.end(), random);
  return rules;
}

}  // namespace

TEST_CASE("merges by hand") {
  // a b c = 0 1 2; rank 0: b c → 3; rank 1: a b → 4; rank 2: a bc → 5
  const std::vector<MergeRule> rules = {{1, 2, 3}, {0, 1, 4}, {0, 3, 5}};
  const MergeTable table(rules);
  BpeScratch bpe;
  const auto merged = [&](std::vector<std::uint32_t> ids) {
    bpe.merge(table, ids);
    return ids;
  };
  CHECK(merged({0, 1, 2}) == std::vector<std::uint32_t>{5});
  CHECK(merged({0, 1, 0, 1, 2}) == std::vector<std::uint32_t>{4, 5});
  CHECK(merged({2, 1, 0}) == std::vector<std::uint32_t>{2, 1, 0});
  CHECK(merged({0}) == std::vector<std::uint32_t>{0});
  CHECK(merged({}).empty());
  CHECK(table.find(7, 7).rank == kNoToken);
}

TEST_CASE("an odd run leaves its last letter over") {
  const std::vector<MergeRule> rules = {{0, 0, 1}, {1, 1, 2}};
  const MergeTable table(rules);
  BpeScratch bpe;
  for (const std::size_t n : {7, 99, 100001}) {
    std::vector<std::uint32_t> ids(n, 0);
    bpe.merge(table, ids);
    CHECK(ids.size() == n / 4 + n % 4 / 2 + n % 2);
    CHECK(ids.front() == 2);
    CHECK(ids.back() == 0);
  }
}

TEST_CASE("of a pair that stands twice the later rule holds") {
  const std::vector<MergeRule> rules = {{0, 1, 3}, {1, 2, 4}, {0, 1, 3}};
  const MergeTable table(rules);
  CHECK(table.find(0, 1).rank == 2);
}

TEST_CASE("short and long pre-tokens merge as defined") {
  std::mt19937 random(3);
  BpeScratch bpe;
  for (int round = 0; round < 400; ++round) {
    const std::uint32_t letters = 1 + random() % 4;
    const MergeTable table(random_rules(random, letters, 1 + random() % 60, round % 2 == 1));
    std::vector<std::uint32_t> ids(1 + random() % (round % 4 < 2 ? 48 : 400));
    const bool run = round % 5 == 0;
    for (auto& id : ids) id = run ? 0 : random() % letters;
    const auto expected = by_definition(table, ids);
    bpe.merge(table, ids);
    if (ids != expected) {
      CAPTURE(round);
      CHECK(ids == expected);
      return;
    }
  }
  SUCCEED();
}
