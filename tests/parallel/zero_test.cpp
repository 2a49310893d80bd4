#include "parallel/zero.h"

#include <numeric>

#include "base/error.h"
#include "catch.h"

using namespace eddy::parallel;

namespace {

ParameterInfo parameter(std::vector<std::int64_t> extent, int layer = 0) {
  ParameterInfo p;
  p.global_shape = p.extent = std::move(extent);
  p.begin.assign(p.extent.size(), 0);
  p.layer = layer;
  return p;
}
ParameterInfo frozen(std::vector<std::int64_t> extent) {
  ParameterInfo p = parameter(std::move(extent));
  p.trainable = false;
  return p;
}
ParameterInfo copy(std::vector<std::int64_t> extent) {
  ParameterInfo p = parameter(std::move(extent));
  p.tied_copy = true;
  return p;
}

/// What every plan must keep to, whatever the parameters.
void check_plan(const std::vector<ParameterInfo>& parameters, int members, std::int64_t bucket_elements) {
  const ZeroPlan plan = zero_plan(parameters, members, bucket_elements);
  CHECK(plan.members == members);
  REQUIRE(plan.offsets.size() == parameters.size());
  std::int64_t total = 0, at = 0;
  for (const auto& p : parameters) total += p.trainable ? p.numel() : 0;
  CHECK(plan.total == total);
  int next = 0, bad = 0;
  for (std::size_t b = 0; b < plan.buckets.size(); ++b) {
    const ZeroBucket& bucket = plan.buckets[b];
    std::int64_t held = 0;
    for (int i = bucket.first; i < bucket.last; ++i) {
      const auto& p = parameters[static_cast<std::size_t>(i)];
      bad += p.trainable && plan.offsets[static_cast<std::size_t>(i)] != bucket.begin + held;
      held += p.trainable ? p.numel() : 0;
    }
    for (int i = next; i < bucket.first; ++i) bad += parameters[static_cast<std::size_t>(i)].trainable;  // passed over
    next = bucket.last;
    // Buckets lie one behind the other; equal parts, the last of them filled up.
    bad += bucket.begin != at || held == 0;
    const std::int64_t padding = members * bucket.part - held;
    bad += padding < 0 || padding >= members * std::int64_t{members > 1 ? 64 : 1};
    bad += members > 1 && bucket.part % 64 != 0;
    at = bucket.begin + members * bucket.part;
    // Only the first may be small, and what a copy cuts off.
    bool cut = b == 0;
    for (const auto i : {bucket.first - 1, bucket.first})
      cut = cut || (i >= 0 && parameters[static_cast<std::size_t>(i)].tied_copy);
    bad += !cut && held < bucket_elements;

    // Read member after member, the pieces are the bucket's elements from the first to the last.
    std::int64_t read = 0;
    for (int m = 0; m < members; ++m) {
      std::int64_t own = 0;
      for (const ZeroPiece& piece : zero_pieces(parameters, plan, bucket, m)) {
        bad += piece.parameter < bucket.first || piece.parameter >= bucket.last || piece.begin >= piece.end;
        bad += plan.offsets[static_cast<std::size_t>(piece.parameter)] + piece.begin != bucket.begin + read;
        bad += piece.begin < 0 || piece.end > parameters[static_cast<std::size_t>(piece.parameter)].numel();
        read += piece.end - piece.begin;
        own += piece.end - piece.begin;
      }
      bad += own > bucket.part;
    }
    bad += read != held;
  }
  for (std::size_t i = static_cast<std::size_t>(next); i < parameters.size(); ++i) bad += parameters[i].trainable;
  CHECK(plan.size == at);
  CHECK(bad == 0);
}

}  // namespace

TEST_CASE("two members, worked by hand") {
  // From the end: the vector and the last matrix are 100 + 600 ≥ 512 elements, the first matrix is left for another.
  const std::vector<ParameterInfo> parameters{parameter({10, 20}), frozen({9}), parameter({300, 2}, 1),
                                              parameter({100}, 1)};
  const ZeroPlan plan = zero_plan(parameters, 2, 512);
  REQUIRE(plan.buckets.size() == 2);
  CHECK(plan.buckets[0].first == 0);
  CHECK(plan.buckets[0].last == 2);
  CHECK(plan.buckets[0].part == 128);  // 100, in lines of 64
  CHECK(plan.buckets[1].begin == 256);
  CHECK(plan.buckets[1].part == 384);  // 350
  CHECK(plan.offsets == std::vector<std::int64_t>{0, 200, 256, 856});
  CHECK(plan.total == 900);
  CHECK(plan.size == 1024);
  const auto second = zero_pieces(parameters, plan, plan.buckets[1], 1);
  REQUIRE(second.size() == 2);
  CHECK(second[0].parameter == 2);
  CHECK(second[0].begin == 384);
  CHECK(second[0].end == 600);
  CHECK(second[1].parameter == 3);
  CHECK(second[1].begin == 0);
  CHECK(second[1].end == 100);
}

TEST_CASE("one member's buffer has no gaps") {
  const ZeroPlan plan = zero_plan(std::vector<ParameterInfo>{parameter({7, 3}), parameter({5})}, 1, 4);
  CHECK(plan.size == 26);
  CHECK(plan.offsets == std::vector<std::int64_t>{0, 21});
}

TEST_CASE("what must stay together does, what must not does not") {
  // gate and up of one layer are read as one matrix; those of another layer are not.
  const std::vector<ParameterInfo> parameters{parameter({8, 8}, 1), parameter({8, 8}, 2), parameter({8, 8}, 2),
                                              copy({30, 2})};
  const ZeroPlan plan = zero_plan(parameters, 2, 1);
  REQUIRE(plan.buckets.size() == 3);
  CHECK(plan.buckets[0].last == 1);
  CHECK(plan.buckets[1].last == 3);
  CHECK(plan.offsets[2] == plan.offsets[1] + 64);
  CHECK(plan.buckets[2].first == 3);  // the copy alone, however large buckets are
  CHECK(zero_plan(parameters, 2).buckets.size() == 2);
  const ZeroPlan amid = zero_plan(std::vector<ParameterInfo>{parameter({5}), copy({5}), parameter({5})}, 4);
  CHECK(amid.buckets.size() == 3);
}

TEST_CASE("every element is owned once, in equal parts") {
  const std::vector<ParameterInfo> layer{
      parameter({1536}),       parameter({1000, 512}),    parameter({8, 100, 64}), frozen({256}),
      copy({100, 64}),         parameter({4, 256, 64}),   parameter({4, 256, 64}), parameter({7, 3}),
      parameter({129280, 16}), parameter({129280, 16}, 1)};
  for (const int members : {1, 2, 3, 4, 7, 8, 64, 333, 2048})
    for (const std::int64_t bucket : {std::int64_t{1}, std::int64_t{100'000}, kBucketElements}) {
      INFO(members << " members, buckets of " << bucket);
      check_plan(layer, members, bucket);
    }
  check_plan({parameter({5})}, 4, 1);
  check_plan({}, 4, 1);
  check_plan({frozen({64, 64})}, 2, 1);
}

TEST_CASE("layers of the size of DeepSeek-R1's on many ranks: less than one percent fills gaps") {
  std::vector<ParameterInfo> stage;
  for (int i = 0; i < 4; ++i) {
    stage.push_back(parameter({7168}, i));
    stage.push_back(parameter({1536, 7168}, i));
    stage.push_back(parameter({576, 7168}, i));
    stage.push_back(parameter({256, 4096, 7168}, i));
    stage.push_back(parameter({256, 7168, 2048}, i));
  }
  for (const int members : {2, 64, 2048}) {
    check_plan(stage, members, kBucketElements);
    const ZeroPlan plan = zero_plan(stage, members);
    CHECK(plan.buckets.size() == 9);  // two a layer, and the first layer's attention
    CHECK(static_cast<double>(plan.size - plan.total) < 0.01 * static_cast<double>(plan.total));
  }
}

TEST_CASE("a plan for nobody is refused") {
  CHECK_THROWS_AS(zero_plan({}, 0), eddy::Error);
}
