// sort_by_expert on the GPU against the CPU: integers, so all of them equal.
#include "kernels/dispatch/dispatch.h"

#include <string>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "gpu_test.h"

using namespace eddy_test;      // NOLINT
using namespace eddy::kernels;  // NOLINT
using GpuStream = eddy::device::Stream;

namespace {

template <class T>
Tensor filled(const Shape& shape, T value) {
  Tensor t(shape, eddy::dtype_of<T>);
  std::fill_n(t.view().as<T>(), t.view().numel(), value);
  return t;
}
template <class T>
std::string first_difference(const GpuStream& gpu, const Tensor& there, const Tensor& expected) {
  const Tensor actual = eddy::tensor::to_host(gpu, there);
  for (std::int64_t i = 0; i < expected.view().numel(); ++i)
    if (actual.view().as<T>()[i] != expected.view().as<T>()[i])
      return "[" + std::to_string(i) + "] is " + std::to_string(actual.view().as<T>()[i]) + ", not " +
             std::to_string(expected.view().as<T>()[i]);
  return "";
}

struct Order {
  Tensor slots, pairs, tokens, counts, offsets, total;
  Order(std::int64_t t, std::int64_t k, std::int64_t experts)
      : slots(filled<std::int32_t>({t, k}, -7)),
        pairs(filled<std::int32_t>({t * k}, -7)),
        tokens(filled<std::int32_t>({t * k}, -7)),
        counts(filled<std::int64_t>({experts}, -7)),
        offsets(filled<std::int64_t>({experts + 1}, -7)),
        total(filled<std::int64_t>({experts}, std::int64_t{1} << 40)) {}
  void upload_to(const GpuStream& gpu) {
    for (Tensor* v : {&slots, &pairs, &tokens, &counts, &offsets, &total}) *v = eddy::tensor::to_device(gpu, *v);
  }
};

enum class Choice { any, skewed, one, none };

Tensor choose(std::int64_t tokens, std::int64_t k, int experts, Choice choice) {
  Tensor chosen({tokens, k}, Dtype::i32);
  std::mt19937 engine(7);
  for (std::int64_t i = 0; i < tokens * k; ++i) {
    const auto draw = static_cast<int>(engine() % static_cast<unsigned>(experts));
    chosen.i32()[i] = choice == Choice::none || engine() % 16 == 0    ? -1
                      : choice == Choice::one                         ? experts - 1
                      : choice == Choice::skewed && engine() % 2 == 0 ? draw % 3
                                                                      : draw;
    if (chosen.i32()[i] >= experts) chosen.i32()[i] = 0;
  }
  return chosen;
}

}  // namespace

TEST_CASE("GPU sort_by_expert: the CPU's order") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const auto& [tokens, k, experts] : {std::tuple{0, 2, 3},
                                           {1, 1, 1},
                                           {3, 2, 3},
                                           {127, 1, 33},
                                           {1000, 8, 256},
                                           {1025, 1, 1024},
                                           {4096, 8, 16},
                                           {20011, 6, 64},
                                           {65536, 8, 256},
                                           {70001, 3, 5}})
    for (const auto choice : {Choice::any, Choice::skewed, Choice::one, Choice::none}) {
      const Tensor chosen = choose(tokens, k, experts, choice), there = upload(*gpu, chosen);
      Order cpu(tokens, k, experts), on_gpu(tokens, k, experts);
      on_gpu.upload_to(*gpu);
      sort_by_expert({}, chosen, cpu.slots, cpu.pairs, cpu.tokens, cpu.counts, cpu.offsets, cpu.total);
      sort_by_expert(*gpu, there, on_gpu.slots, on_gpu.pairs, on_gpu.tokens, on_gpu.counts, on_gpu.offsets,
                     on_gpu.total);
      INFO(tokens << " tokens, top " << k << " of " << experts << ", choice " << static_cast<int>(choice));
      CHECK(first_difference<std::int64_t>(*gpu, on_gpu.counts, cpu.counts) == "");
      CHECK(first_difference<std::int64_t>(*gpu, on_gpu.offsets, cpu.offsets) == "");
      CHECK(first_difference<std::int64_t>(*gpu, on_gpu.total, cpu.total) == "");
      CHECK(first_difference<std::int32_t>(*gpu, on_gpu.slots, cpu.slots) == "");
      CHECK(first_difference<std::int32_t>(*gpu, on_gpu.pairs, cpu.pairs) == "");
      CHECK(first_difference<std::int32_t>(*gpu, on_gpu.tokens, cpu.tokens) == "");
    }
}

TEST_CASE("GPU sort_by_expert: without a total; too many experts are refused") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  const Tensor chosen = upload(*gpu, choose(5, 2, 4, Choice::any));
  Order order(5, 2, 4);
  order.upload_to(*gpu);
  sort_by_expert(*gpu, chosen, order.slots, order.pairs, order.tokens, order.counts, order.offsets, {});
  CHECK(first_difference<std::int64_t>(*gpu, order.total, filled<std::int64_t>({4}, std::int64_t{1} << 40)) == "");
  Order many(5, 2, 1025);
  many.upload_to(*gpu);
  CHECK_THROWS_WITH(sort_by_expert(*gpu, chosen, many.slots, many.pairs, many.tokens, many.counts, many.offsets, {}),
                    "sort_by_expert: 1025 experts, 10 pairs; a GPU sorts among 1 to 1024 experts, up to 1073741824 "
                    "pairs");
}
