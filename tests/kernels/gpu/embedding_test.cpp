// embedding on the GPU against the CPU. Both copy, or add in token order: bit for bit.
#include "kernels/embedding/embedding.h"

#include <string>
#include <tuple>

#include "base/error.h"
#include "rows.h"

using namespace eddy_test;      // NOLINT
using namespace eddy::kernels;  // NOLINT
using GpuStream = eddy::device::Stream;

namespace {

constexpr Dtype f = Dtype::f32, h = Dtype::bf16;

/// Ids in and around [begin, begin + vocab), many of them several times, and some -1.
Tensor make_ids(std::int64_t n, int begin, int vocab, unsigned seed) {
  Tensor ids({n}, Dtype::i32);
  std::mt19937 engine(seed);
  for (std::int64_t t = 0; t < n; ++t) {
    const auto draw = engine();
    ids.i32()[t] = draw % 7 == 0   ? -1
                   : draw % 5 == 0 ? begin + vocab / 2  // one id with long runs
                                   : begin - 3 + static_cast<int>(engine() % static_cast<unsigned>(vocab + 6));
  }
  return ids;
}

constexpr int kBegin = 10, kVocab = 50;

}  // namespace

TEST_CASE("GPU embedding: rows of this part, zeros for the others") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const auto& [cols, gap] : {std::pair{1, 0}, {33, 0}, {64, 8}, {70, 3}, {256, 0}, {1032, 8}, {1500, 1}})
    for (const auto& [from, to] : {std::pair{f, f}, {h, h}, {h, f}, {f, h}}) {
      const Tensor table = random_tensor({kVocab, cols + 2 * gap}, 1, h), ids = make_ids(77, kBegin, kVocab, 2);
      const Tensor y = filled({77, cols + 2 * gap}, 777);
      const Tensor there = upload(*gpu, table, from), y_there = upload(*gpu, y, to), ids_there = upload(*gpu, ids);
      embedding({}, inner(table, gap), ids, kBegin, inner(y, gap));
      embedding(*gpu, inner(there, gap), ids_there, kBegin, inner(y_there, gap));
      const Tensor expected = download(*gpu, upload(*gpu, y, to));  // 777 rounds in bf16
      INFO("columns " << cols << ", gap " << gap << ", " << name_of(from) << " to " << name_of(to));
      CHECK(first_difference(download(*gpu, y_there), expected) == "");
    }
}

TEST_CASE("GPU embedding_backward adds in token order") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  for (const auto& [tokens, cols, gap] :
       {std::tuple{1, 1, 0}, {31, 33, 0}, {300, 64, 8}, {700, 70, 3}, {257, 640, 4}, {20011, 12, 0}})
    for (const auto dtype : {f, h}) {
      const Tensor dy = random_tensor({tokens, cols + 2 * gap}, 3, dtype);
      const Tensor ids = make_ids(tokens, kBegin, kVocab, 4), dtable = random_tensor({kVocab, cols + 2 * gap}, 5);
      const Tensor dy_there = upload(*gpu, dy, dtype), there = upload(*gpu, dtable), ids_there = upload(*gpu, ids);
      embedding_backward({}, inner(dy, gap), ids, kBegin, inner(dtable, gap));
      embedding_backward(*gpu, inner(dy_there, gap), ids_there, kBegin, inner(there, gap));
      INFO("tokens " << tokens << ", columns " << cols << ", gap " << gap << ", " << name_of(dtype));
      CHECK(first_difference(download(*gpu, there), dtable) == "");
    }
}

TEST_CASE("GPU embedding_backward: a vocabulary of 129280, one id a run of its own or all the same") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  constexpr int kWide = 129280, kTokens = 1100;
  for (const bool same : {false, true}) {
    Tensor ids({kTokens}, Dtype::i32);
    for (int t = 0; t < kTokens; ++t) ids.i32()[t] = same ? kWide - 1 : (t * 7919 + 1) % kWide;
    ids.i32()[3] = kWide;  // just outside
    const Tensor dy = random_tensor({kTokens, 4}, 6), dtable = filled({kWide, 4}, 0.5f);
    const Tensor there = upload(*gpu, dtable);
    embedding_backward({}, dy, ids, 0, dtable);
    embedding_backward(*gpu, upload(*gpu, dy), upload(*gpu, ids), 0, there);
    INFO("all the same: " << same);
    CHECK(first_difference(download(*gpu, there), dtable) == "");
  }
}

TEST_CASE("GPU embedding: no tokens, wrong views") {
  const auto* gpu = gpu_stream();
  if (!gpu) return;
  const Tensor table = upload(*gpu, filled({5, 8}, 1)), none({0}, Dtype::i32, *gpu), empty({0, 8}, f, *gpu);
  embedding(*gpu, table, none, 0, empty);
  embedding_backward(*gpu, empty, none, 0, table);
  CHECK(first_difference(download(*gpu, table), filled({5, 8}, 1)) == "");
  const Tensor ids = upload(*gpu, make_ids(4, 0, 5, 1)), narrow({4, 7}, f, *gpu), rounded({5, 8}, h, *gpu);
  CHECK_THROWS_AS(embedding(*gpu, table, ids, 0, narrow), eddy::Error);
  CHECK_THROWS_AS(embedding_backward(*gpu, Tensor({4, 8}, f, *gpu), ids, 0, rounded), eddy::Error);
}
