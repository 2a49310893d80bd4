// The kernels of visits on the GPU against the CPU: integers and copied bits, so all of them equal.
#include "kernels/visits/visits.h"

#include <cstring>
#include <string>
#include <tuple>

#include "base/error.h"
#include "gpu_test.h"
#include "kernels/dispatch/dispatch.h"

using namespace eddy_test;      // NOLINT
using namespace eddy::kernels;  // NOLINT
using GpuStream = eddy::device::Stream;

namespace {

Tensor marked(const Shape& shape, Dtype dtype) {
  Tensor t(shape, dtype);
  std::memset(t.view().data, 0xa5, t.view().bytes());
  return t;
}
/// Byte by byte; the first that differs.
std::string first_difference(const GpuStream& gpu, const Tensor& there, const Tensor& expected) {
  const Tensor actual = eddy::tensor::to_host(gpu, there);
  const auto *a = static_cast<const unsigned char*>(actual.view().data),
             *e = static_cast<const unsigned char*>(expected.view().data);
  for (std::size_t i = 0; i < expected.view().bytes(); ++i)
    if (a[i] != e[i]) return "element " + std::to_string(i / size_of(expected.view().dtype));
  return "";
}
Tensor choose(std::int64_t tokens, std::int64_t k, std::int64_t experts, bool skewed) {
  Tensor chosen({tokens, k}, Dtype::i32);
  std::mt19937 engine(5);
  for (std::int64_t i = 0; i < tokens * k; ++i) {
    const auto draw = static_cast<std::int32_t>(engine() % static_cast<unsigned>(experts));
    chosen.i32()[i] = engine() % 9 == 0 ? -1 : skewed && engine() % 8 != 0 ? draw % 2 : draw;
  }
  return chosen;
}

}  // namespace

TEST_CASE("GPU visited_ranks, visit_classes, deal_waves: the CPU's") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const auto& [tokens, k, local, ranks] : {std::tuple{0, 2, 2, 2},
                                                {1, 1, 1, 1},
                                                {3, 2, 4, 2},
                                                {1000, 8, 8, 2},
                                                {4096, 8, 4, 64},
                                                {4097, 6, 3, 5},
                                                {257, 20, 3, 37}})
    for (const bool skewed : {false, true}) {
      const std::int64_t places = std::min(k, ranks);
      const Tensor chosen = choose(tokens, k, local * ranks, skewed);
      const Tensor visits = marked({tokens, places}, Dtype::i32), visits_there = upload(*gpu, visits);
      visited_ranks({}, chosen, local, ranks, visits);
      visited_ranks(*gpu, upload(*gpu, chosen), local, ranks, visits_there);
      INFO(tokens << " tokens, " << k << " choices, " << ranks << " ranks of " << local << ", skewed " << skewed);
      CHECK(first_difference(*gpu, visits_there, visits) == "");
      const Tensor classes = marked({tokens, places}, Dtype::i32), classes_there = upload(*gpu, classes);
      visit_classes({}, chosen, local, k, visits, classes);
      visit_classes(*gpu, upload(*gpu, chosen), local, k, visits_there, classes_there);
      CHECK(first_difference(*gpu, classes_there, classes) == "");
      for (const std::int64_t waves : {1, 2, 7, 100}) {
        const Tensor slots = marked({tokens, places}, Dtype::i32), pairs = marked({tokens * places}, Dtype::i32),
                     order = marked({tokens * places}, Dtype::i32), counts = marked({ranks}, Dtype::i64),
                     offsets = marked({ranks + 1}, Dtype::i64);
        sort_by_expert({}, visits, slots, pairs, order, counts, offsets, {});
        const Tensor slots_there = upload(*gpu, slots), order_there = upload(*gpu, order);
        deal_waves({}, offsets, waves, slots, order);
        deal_waves(*gpu, upload(*gpu, offsets), waves, slots_there, order_there);
        CAPTURE(waves);
        CHECK(first_difference(*gpu, slots_there, slots) == "");
        CHECK(first_difference(*gpu, order_there, order) == "");
      }
    }
}

TEST_CASE("GPU pack_choices and unpack_choices: the CPU's bits") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const auto& [tokens, k, visits, first, local] : {std::tuple{1, 1, 1, 0, 1},
                                                        {5, 3, 0, 2, 4},
                                                        {1000, 8, 1777, 8, 8},
                                                        {4097, 7, 5000, 0, 33},
                                                        {64, 40, 99, 20, 9}}) {
    const Tensor chosen = choose(tokens, k, first + local + 3, false), weights = random_tensor({tokens, k}, 3);
    Tensor order({visits}, Dtype::i32);
    for (std::int64_t i = 0; i < visits; ++i) order.i32()[i] = static_cast<std::int32_t>(i * 31 % tokens);
    const Tensor packed = marked({visits, 2 * k}, Dtype::i32), packed_there = upload(*gpu, packed);
    pack_choices({}, chosen, weights, order, packed);
    pack_choices(*gpu, upload(*gpu, chosen), upload(*gpu, weights), upload(*gpu, order), packed_there);
    INFO(tokens << " tokens, " << k << " choices, " << visits << " visits");
    CHECK(first_difference(*gpu, packed_there, packed) == "");
    const Tensor there = marked({visits, k}, Dtype::i32), weights_there = marked({visits, k}, Dtype::f32);
    const Tensor there_gpu = upload(*gpu, there), weights_gpu = upload(*gpu, weights_there);
    unpack_choices({}, packed, first, local, there, weights_there);
    unpack_choices(*gpu, packed_there, first, local, there_gpu, weights_gpu);
    CHECK(first_difference(*gpu, there_gpu, there) == "");
    CHECK(first_difference(*gpu, weights_gpu, weights_there) == "");
  }
}
