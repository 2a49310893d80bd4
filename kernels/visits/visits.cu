// The CPU refuses experts and places outside their ranges. Here they are read as none: seeing them on the host would
// need a wait.
#include <algorithm>

#include "kernels/common/cuda.cuh"
#include "kernels/visits/visits_cuda.h"

namespace eddy::kernels::cuda {
namespace {

constexpr int kThreads = 256;

/// A thread has a token. The next rank is the least beyond the last: k² / 2 reads from the first cache at the most.
__global__ void __launch_bounds__(kThreads) list_ranks(const std::int32_t* __restrict__ chosen, int tokens, int k,
                                                       int local, int ranks, int m, std::int32_t* visits) {
  const int t = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (t >= tokens) return;
  const std::int32_t* own = chosen + std::int64_t{t} * k;
  std::int32_t* out = visits + std::int64_t{t} * m;
  int last = -1;
  for (int i = 0; i < m; ++i) {
    int next = ranks;  // none
    if (last < ranks)
      for (int j = 0; j < k; ++j) {
        const int expert = own[j], rank = expert < 0 ? ranks : expert / local;
        if (rank > last && rank < next) next = rank;
      }
    out[i] = next < ranks ? next : -1;
    last = next;
  }
}

/// A thread has a visit.
__global__ void __launch_bounds__(kThreads)
    classify(const std::int32_t* __restrict__ chosen, const std::int32_t* __restrict__ visits, int k, int local,
             int most, int m, int n, std::int32_t* classes) {
  const int i = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (i >= n) return;
  const int rank = visits[i];
  const std::int32_t* own = chosen + std::int64_t{i / m} * k;
  int rows = 0;
  for (int j = 0; j < k; ++j) rows += own[j] >= 0 && own[j] / local == rank;
  classes[i] = rank < 0 || rows == 0 ? -1 : rank * most + min(rows, most) - 1;
}

/// A thread has a place.
__global__ void __launch_bounds__(kThreads) deal(const std::int64_t* __restrict__ begin, int classes, int waves, int m,
                                                 int n, std::int32_t* slots, std::int32_t* __restrict__ tokens) {
  const int i = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (i >= n) return;
  const std::int64_t slot = slots[i];
  if (slot < 0 || slot >= begin[classes]) return;
  int of = 0;
  while (begin[of + 1] <= slot) ++of;  // ends: slot < begin[classes]
  const std::int64_t visits = begin[of + 1] - begin[of], own = slot - begin[of];
  const std::int64_t wave = ((own + 1) * waves - 1) / visits;  // the last that begins at or before `own`
  std::int64_t at = own - visits * wave / waves;
  for (int c = 0; c < classes; ++c) at += (begin[c + 1] - begin[c]) * (wave + (c < of ? 1 : 0)) / waves;
  slots[i] = static_cast<std::int32_t>(at);
  tokens[at] = i / m;
}

/// A thread has one of the 2k words of a row.
__global__ void __launch_bounds__(kThreads)
    pack(const std::int32_t* __restrict__ chosen, const float* __restrict__ weights,
         const std::int32_t* __restrict__ tokens, std::int64_t t, int k, std::int64_t words, std::int32_t* packed) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= words) return;
  const std::int64_t token = tokens[i / (2 * k)];
  const int j = static_cast<int>(i % (2 * k));
  if (token < 0 || token >= t)
    packed[i] = j < k ? -1 : 0;
  else
    packed[i] = j < k ? chosen[token * k + j] : __float_as_int(weights[token * k + j - k]);
}

__global__ void __launch_bounds__(kThreads) unpack(const std::int32_t* __restrict__ packed, int first, int local, int k,
                                                   std::int64_t n, std::int32_t* chosen, float* weights) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= n) return;
  const std::int32_t* row = packed + i / k * (2 * k);
  const int j = static_cast<int>(i % k), expert = row[j] - first;
  chosen[i] = expert >= 0 && expert < local ? expert : -1;
  weights[i] = __int_as_float(row[k + j]);
}

constexpr std::int64_t kMost = std::int64_t{1} << 30;

unsigned blocks_for(std::int64_t n) {
  return static_cast<unsigned>(ceil_div(n, kThreads));
}

}  // namespace

void visited_ranks(const Stream& stream, View chosen, std::int64_t local, std::int64_t ranks, View visits) {
  if (chosen.shape.rank() < 1 || visits.shape.rank() < 1)
    fail_run("visited_ranks: 'chosen' {} or 'visits' {} has no axes", chosen.shape.text(), visits.shape.text());
  const std::int64_t t = chosen.rows(), k = chosen.cols(), m = visits.cols();
  if (local < 1 || ranks < 1 || m < std::min(k, ranks) || local * ranks > kMost || t * std::max(k, m) > kMost)
    fail_run("visited_ranks: {} places for the ranks of {} choices of {} tokens among {} ranks of {} experts", m, k, t,
             ranks, local);
  expect_vector(chosen, Dtype::i32, t * k, "visited_ranks", "chosen");
  expect_vector(visits, Dtype::i32, t * m, "visited_ranks", "visits");
  const Span span(stream, "visited_ranks", {4.0 * static_cast<double>(t * (k + m)), 0});
  if (t * m == 0) return;
  list_ranks<<<blocks_for(t), kThreads, 0, device::native(stream)>>>(
      chosen.i32(), static_cast<int>(t), static_cast<int>(k), static_cast<int>(local), static_cast<int>(ranks),
      static_cast<int>(m), visits.i32());
  check_launch();
}

void visit_classes(const Stream& stream, View chosen, std::int64_t local, std::int64_t most, View visits,
                   View classes) {
  if (chosen.shape.rank() < 1 || visits.shape.rank() < 1)
    fail_run("visit_classes: 'chosen' {} or 'visits' {} has no axes", chosen.shape.text(), visits.shape.text());
  const std::int64_t t = chosen.rows(), k = chosen.cols(), m = visits.cols(), n = t * m;
  if (local < 1 || most < 1 || local > kMost || most > kMost || t * std::max(k, m) > kMost)
    fail_run("visit_classes: ranks of {} experts, up to {} rows a visit, {} tokens", local, most, t);
  expect_vector(chosen, Dtype::i32, t * k, "visit_classes", "chosen");
  expect_vector(visits, Dtype::i32, n, "visit_classes", "visits");
  expect_vector(classes, Dtype::i32, n, "visit_classes", "classes");
  const Span span(stream, "visit_classes", {4.0 * static_cast<double>(t * k + 2 * n), 0});
  if (n == 0) return;
  classify<<<blocks_for(n), kThreads, 0, device::native(stream)>>>(
      chosen.i32(), visits.i32(), static_cast<int>(k), static_cast<int>(local), static_cast<int>(most),
      static_cast<int>(m), static_cast<int>(n), classes.i32());
  check_launch();
}

void deal_waves(const Stream& stream, View offsets, std::int64_t waves, View slots, View tokens) {
  if (slots.shape.rank() < 1) fail_run("deal_waves: 'slots' has no axes");
  const std::int64_t classes = offsets.numel() - 1, m = slots.cols(), n = slots.rows() * m;
  if (classes < 1 || waves < 1 || classes > kMost || waves > kMost || n > kMost)
    fail_run("deal_waves: {} classes, {} waves, {} places", classes, waves, n);
  expect_vector(offsets, Dtype::i64, classes + 1, "deal_waves", "offsets");
  expect_vector(slots, Dtype::i32, n, "deal_waves", "slots");
  expect_vector(tokens, Dtype::i32, n, "deal_waves", "tokens");
  const Span span(stream, "deal_waves", {12.0 * static_cast<double>(n), 0});
  if (n == 0) return;
  deal<<<blocks_for(n), kThreads, 0, device::native(stream)>>>(offsets.as<std::int64_t>(), static_cast<int>(classes),
                                                               static_cast<int>(waves), static_cast<int>(m),
                                                               static_cast<int>(n), slots.i32(), tokens.i32());
  check_launch();
}

void pack_choices(const Stream& stream, View chosen, View weights, View tokens, View packed) {
  if (chosen.shape.rank() < 1) fail_run("pack_choices: 'chosen' has no axes");
  const std::int64_t t = chosen.rows(), k = chosen.cols(), visits = tokens.numel(), words = visits * 2 * k;
  expect_vector(chosen, Dtype::i32, t * k, "pack_choices", "chosen");
  expect_vector(weights, Dtype::f32, t * k, "pack_choices", "weights");
  expect_vector(tokens, Dtype::i32, visits, "pack_choices", "tokens");
  expect_vector(packed, Dtype::i32, words, "pack_choices", "packed");
  const Span span(stream, "pack_choices", {8.0 * static_cast<double>(words), 0});
  if (words == 0) return;
  pack<<<blocks_for(words), kThreads, 0, device::native(stream)>>>(chosen.i32(), weights.f32(), tokens.i32(), t,
                                                                   static_cast<int>(k), words, packed.i32());
  check_launch();
}

void unpack_choices(const Stream& stream, View packed, std::int64_t first, std::int64_t local, View chosen,
                    View weights) {
  if (chosen.shape.rank() < 1) fail_run("unpack_choices: 'chosen' has no axes");
  const std::int64_t rows = chosen.rows(), k = chosen.cols(), n = rows * k;
  if (first < 0 || local < 1 || first + local > kMost)
    fail_run("unpack_choices: experts {} to {} of a rank", first, first + local - 1);
  expect_vector(packed, Dtype::i32, 2 * n, "unpack_choices", "packed");
  expect_vector(chosen, Dtype::i32, n, "unpack_choices", "chosen");
  expect_vector(weights, Dtype::f32, n, "unpack_choices", "weights");
  const Span span(stream, "unpack_choices", {16.0 * static_cast<double>(n), 0});
  if (n == 0) return;
  unpack<<<blocks_for(n), kThreads, 0, device::native(stream)>>>(packed.i32(), static_cast<int>(first),
                                                                 static_cast<int>(local), static_cast<int>(k), n,
                                                                 chosen.i32(), weights.f32());
  check_launch();
}

}  // namespace eddy::kernels::cuda
