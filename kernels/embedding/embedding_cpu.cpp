#include "kernels/embedding/embedding.h"

#include <algorithm>

#include "kernels/common/checks.h"
#include "kernels/embedding/embedding_cuda.h"

namespace eddy::kernels {
namespace {
constexpr std::int64_t kColumns = 64;  // columns one owner adds up in the backward pass: four cache lines
}

void embedding(const Stream& stream, View table, View ids, std::int64_t vocab_begin, View y) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::embedding(stream, table, ids, vocab_begin, y);
  const Rows from = rows_of(table, {"embedding", "table"}), to = rows_of(y, -1, from.cols, {"embedding", "y"});
  const std::int32_t* id = ints_of(ids, to.rows, {"embedding", "ids"});
#pragma omp parallel for schedule(static) if (worth_threads(to.rows * to.cols))
  for (std::int64_t t = 0; t < to.rows; ++t) {
    const std::int64_t row = id[t] - vocab_begin;
    if (id[t] >= 0 && row >= 0 && row < from.rows)
      std::copy_n(from[row], to.cols, to[t]);
    else
      std::fill_n(to[t], to.cols, 0.0f);
  }
}

void embedding_backward(const Stream& stream, View dy, View ids, std::int64_t vocab_begin, View dtable) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::embedding_backward(stream, dy, ids, vocab_begin, dtable);
  const Rows from = rows_of(dy, {"embedding_backward", "dy"});
  const Rows to = rows_of(dtable, -1, from.cols, {"embedding_backward", "dtable"});
  const std::int32_t* id = ints_of(ids, from.rows, {"embedding_backward", "ids"});
  const std::int64_t strips = (from.cols + kColumns - 1) / kColumns;
#pragma omp parallel for schedule(static) if (worth_threads(from.rows * from.cols))
  for (std::int64_t s = 0; s < strips; ++s) {
    const std::int64_t begin = s * kColumns, end = std::min(from.cols, begin + kColumns);
    for (std::int64_t t = 0; t < from.rows; ++t) {
      const std::int64_t row = id[t] - vocab_begin;
      if (id[t] < 0 || row < 0 || row >= to.rows) continue;
      const float* a = from[t];
      float* b = to[row];
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) b[i] += a[i];
    }
  }
}

}  // namespace eddy::kernels
