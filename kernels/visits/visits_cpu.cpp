#include <algorithm>
#include <bit>

#include "base/error.h"
#include "kernels/common/checks.h"
#include "kernels/visits/visits_cuda.h"

namespace eddy::kernels {

void visited_ranks(const Stream& stream, View chosen, std::int64_t local, std::int64_t ranks, View visits) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::visited_ranks(stream, chosen, local, ranks, visits);
  const std::int64_t tokens = chosen.rows(), k = chosen.cols(), m = visits.cols();
  check_rows(visits, tokens, -1, {"visited_ranks", "visits"});
  if (local < 1 || ranks < 1 || m < std::min(k, ranks))
    fail_run("visited_ranks: {} places for the ranks of {} choices among {} ranks of {} experts", m, k, ranks, local);
  const std::int32_t* expert = ints_of(chosen, tokens * k, {"visited_ranks", "chosen"});
  std::int32_t* out = ints_of(visits, tokens * m, {"visited_ranks", "visits"});
  check_indices(expert, tokens * k, ranks * local, {"visited_ranks", "chosen"});
  std::fill_n(out, tokens * m, -1);
  for (std::int64_t t = 0; t < tokens; ++t) {
    std::int32_t *begin = out + t * m, *end = begin;
    for (std::int64_t j = t * k; j < (t + 1) * k; ++j) {
      if (expert[j] < 0) continue;
      const auto rank = static_cast<std::int32_t>(expert[j] / local);
      std::int32_t* at = std::lower_bound(begin, end, rank);
      if (at != end && *at == rank) continue;
      std::copy_backward(at, end, end + 1);
      *at = rank;
      ++end;
    }
  }
}

void visit_classes(const Stream& stream, View chosen, std::int64_t local, std::int64_t most, View visits,
                   View classes) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::visit_classes(stream, chosen, local, most, visits, classes);
  const std::int64_t tokens = chosen.rows(), k = chosen.cols(), m = visits.cols();
  if (local < 1 || most < 1) fail_run("visit_classes: ranks of {} experts, up to {} rows a visit", local, most);
  const std::int32_t* expert = ints_of(chosen, tokens * k, {"visit_classes", "chosen"});
  const std::int32_t* rank = ints_of(visits, tokens * m, {"visit_classes", "visits"});
  std::int32_t* out = ints_of(classes, tokens * m, {"visit_classes", "classes"});
  for (std::int64_t i = 0; i < tokens * m; ++i) {
    out[i] = -1;
    if (rank[i] < 0) continue;
    const std::int32_t* own = expert + i / m * k;
    const auto rows = std::count_if(own, own + k, [&](auto e) { return e >= 0 && e / local == rank[i]; });
    if (rows < 1 || rows > most) fail_run("visit_classes: visit {} has {} rows; expected 1 to {}", i, rows, most);
    out[i] = static_cast<std::int32_t>(rank[i] * most + rows - 1);
  }
}

void deal_waves(const Stream& stream, View offsets, std::int64_t waves, View slots, View tokens) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::deal_waves(stream, offsets, waves, slots, tokens);
  const std::int64_t classes = offsets.numel() - 1, m = slots.cols(), n = slots.rows() * m;
  if (classes < 1 || waves < 1) fail_run("deal_waves: {} classes, {} waves", classes, waves);
  const std::int64_t* begin = longs_of(offsets, classes + 1, {"deal_waves", "offsets"});
  std::int32_t* slot = ints_of(slots, n, {"deal_waves", "slots"});
  std::int32_t* token = ints_of(tokens, n, {"deal_waves", "tokens"});
  check_indices(slot, n, begin[classes], {"deal_waves", "slots"});
  for (std::int64_t i = 0; i < n; ++i) {
    if (slot[i] < 0) continue;
    const std::int64_t of = std::upper_bound(begin, begin + classes, slot[i]) - begin - 1;
    const std::int64_t visits = begin[of + 1] - begin[of], own = slot[i] - begin[of];
    const std::int64_t wave = ((own + 1) * waves - 1) / visits;  // the last that begins at or before `own`
    std::int64_t at = own - visits * wave / waves;               // those before: of this class in this wave, …
    for (std::int64_t c = 0; c < classes; ++c)  // … of all classes in earlier waves, of classes before
      at += (begin[c + 1] - begin[c]) * (wave + (c < of ? 1 : 0)) / waves;
    slot[i] = static_cast<std::int32_t>(at);
    token[at] = static_cast<std::int32_t>(i / m);
  }
}

void pack_choices(const Stream& stream, View chosen, View weights, View tokens, View packed) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::pack_choices(stream, chosen, weights, tokens, packed);
  const std::int64_t t = chosen.rows(), k = chosen.cols(), visits = tokens.numel();
  const std::int32_t* choice = ints_of(chosen, t * k, {"pack_choices", "chosen"});
  const float* weight = floats_of(weights, t * k, {"pack_choices", "weights"});
  const std::int32_t* token = ints_of(tokens, visits, {"pack_choices", "tokens"});
  std::int32_t* out = ints_of(packed, visits * 2 * k, {"pack_choices", "packed"});
  check_indices(token, visits, t, {"pack_choices", "tokens"});
  for (std::int64_t v = 0; v < visits; ++v, out += 2 * k) {
    if (token[v] < 0) fail_run("pack_choices: visit {} has no token", v);
    std::copy_n(choice + token[v] * k, k, out);
    std::transform(weight + token[v] * k, weight + (token[v] + 1) * k, out + k,
                   [](float w) { return std::bit_cast<std::int32_t>(w); });
  }
}

void unpack_choices(const Stream& stream, View packed, std::int64_t first, std::int64_t local, View chosen,
                    View weights) {
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::unpack_choices(stream, packed, first, local, chosen, weights);
  const std::int64_t rows = chosen.rows(), k = chosen.cols();
  const std::int32_t* in = ints_of(packed, rows * 2 * k, {"unpack_choices", "packed"});
  std::int32_t* choice = ints_of(chosen, rows * k, {"unpack_choices", "chosen"});
  float* weight = floats_of(weights, rows * k, {"unpack_choices", "weights"});
  for (std::int64_t r = 0; r < rows; ++r, in += 2 * k)
    for (std::int64_t j = 0; j < k; ++j) {
      const std::int64_t expert = in[j] - first;
      choice[r * k + j] = expert >= 0 && expert < local ? static_cast<std::int32_t>(expert) : -1;
      weight[r * k + j] = std::bit_cast<float>(in[k + j]);
    }
}

}  // namespace eddy::kernels
