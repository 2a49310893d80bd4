#include "kernels/dispatch/dispatch.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/common/checks.h"
#include "kernels/common/scratch.h"
#include "kernels/dispatch/dispatch_cuda.h"

namespace eddy::kernels {

void sort_by_expert(const Stream& stream, View chosen, View slots, View pairs, View tokens, View counts, View offsets,
                    View total) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::sort_by_expert(stream, chosen, slots, pairs, tokens, counts, offsets, total);
  check_rows(chosen, -1, -1, {"sort_by_expert", "chosen"});
  check_rows(counts, -1, 1, {"sort_by_expert", "counts"});
  const std::int64_t k = chosen.cols(), n = chosen.rows() * k, experts = counts.rows();
  const std::int32_t* expert = ints_of(chosen, n, {"sort_by_expert", "chosen"});
  std::int32_t* slot = ints_of(slots, n, {"sort_by_expert", "slots"});
  std::int32_t* pair = ints_of(pairs, n, {"sort_by_expert", "pairs"});
  std::int32_t* token = ints_of(tokens, n, {"sort_by_expert", "tokens"});
  std::int64_t* count = longs_of(counts, experts, {"sort_by_expert", "counts"});
  std::int64_t* begin = longs_of(offsets, experts + 1, {"sort_by_expert", "offsets"});
  std::int64_t* sum = total ? longs_of(total, experts, {"sort_by_expert", "total"}) : nullptr;
  check_indices(expert, n, experts, {"sort_by_expert", "chosen"});
  std::fill_n(count, experts, 0);
  for (std::int64_t i = 0; i < n; ++i)
    if (expert[i] >= 0) ++count[expert[i]];
  begin[0] = 0;
  for (std::int64_t e = 0; e < experts; ++e) {
    begin[e + 1] = begin[e] + count[e];
    if (sum) sum[e] += count[e];
  }
  std::int64_t* next = scratch<std::int64_t>(experts);  // each expert's next free place
  std::copy_n(begin, experts, next);
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t at = expert[i] < 0 ? -1 : next[expert[i]]++;
    slot[i] = static_cast<std::int32_t>(at);
    if (at < 0) continue;
    pair[at] = static_cast<std::int32_t>(i);
    token[at] = static_cast<std::int32_t>(i / k);
  }
  std::fill(pair + begin[experts], pair + n, -1);
  std::fill(token + begin[experts], token + n, -1);
}

}  // namespace eddy::kernels
