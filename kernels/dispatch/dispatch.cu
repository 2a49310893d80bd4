// The CPU refuses an expert outside its range. Here it is read as none: seeing it on the host would need a wait.
#include <algorithm>

#include "kernels/common/cuda.cuh"
#include "kernels/dispatch/dispatch_cuda.h"

namespace eddy::kernels::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;
constexpr int kAhead = 4;  // loads a thread has in flight
constexpr unsigned kAll = 0xffffffffu;

/// Calls f(i, expert, peers) for pairs i = begin + lane, begin + lane + 32, … < end, by whole warps in order: expert is
/// -1 for none and beyond the end, peers the lanes with the same one.
template <class F>
__device__ void walk(const std::int32_t* __restrict__ chosen, int begin, int end, int experts, F f) {
  for (int base = begin + static_cast<int>(threadIdx.x % 32); base - static_cast<int>(threadIdx.x % 32) < end;
       base += 32 * kAhead) {
    int expert[kAhead];
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      expert[a] = base + 32 * a < end ? chosen[base + 32 * a] : -1;
      if (expert[a] >= experts || expert[a] < 0) expert[a] = -1;
    }
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      f(base + 32 * a, expert[a], __match_any_sync(kAll, expert[a]));
      __syncwarp();  // what f wrote is seen by the next
    }
  }
}
__device__ inline bool first_of(unsigned peers) {
  return static_cast<int>(threadIdx.x % 32) == __ffs(static_cast<int>(peers)) - 1;
}

/// hist [kWarps, experts] (shared) = how often each warp's stretch of the block's pairs chose each expert.
__device__ void count_stretches(const std::int32_t* chosen, int begin, int end, int experts, int* hist) {
  for (int i = threadIdx.x; i < kWarps * experts; i += kThreads) hist[i] = 0;
  __syncthreads();
  int* own = hist + static_cast<int>(threadIdx.x / 32) * experts;
  walk(chosen, begin, end, experts, [&](int, int expert, unsigned peers) {
    if (expert >= 0 && first_of(peers)) own[expert] += __popc(peers);
  });
  __syncthreads();
}

/// Where the calling warp's stretch begins; each is `stretch` pairs long, a multiple of 32 · kAhead.
__device__ inline int begin_of_stretch(int stretch) {
  return static_cast<int>(blockIdx.x * kWarps + threadIdx.x / 32) * stretch;
}

/// counts [blocks, experts]: what each block's pairs chose.
__global__ void __launch_bounds__(kThreads)
    count_chosen(const std::int32_t* chosen, int n, int stretch, int experts, int* counts) {
  extern __shared__ int hist[];
  const int begin = begin_of_stretch(stretch);
  count_stretches(chosen, begin, min(n, begin + stretch), experts, hist);
  for (int e = threadIdx.x; e < experts; e += kThreads) {
    int sum = 0;
    for (int w = 0; w < kWarps; ++w) sum += hist[w * experts + e];
    counts[static_cast<int>(blockIdx.x) * experts + e] = sum;
  }
}

/// out [n] = the exclusive prefix sums of at(0), at(1), …; returns the total. By one warp.
template <class F>
__device__ int scan_by_warp(int n, int* out, F at) {
  const int lane = threadIdx.x % 32;
  int carry = 0;
  for (int base = 0; base < n; base += 32) {
    const int own = base + lane < n ? at(base + lane) : 0;
    int sum = own;
#pragma unroll
    for (int offset = 1; offset < 32; offset *= 2) {
      const int before = __shfl_up_sync(kAll, sum, offset);
      if (lane >= offset) sum += before;
    }
    if (base + lane < n) out[base + lane] = carry + sum - own;
    carry += __shfl_sync(kAll, sum, 31);
  }
  return carry;
}

struct Sorted {
  std::int32_t *slots, *pairs, *tokens;
  std::int64_t *counts, *offsets, *total;  // total may be null
};

/// Each pair's place = where its expert begins + the expert's pairs in blocks before + those in stretches of warps
/// before + those before in its own.
__global__ void __launch_bounds__(kThreads) place_chosen(const std::int32_t* chosen, int n, int k, int stretch,
                                                         int experts, const int* __restrict__ counts, Sorted out) {
  extern __shared__ int shared[];
  int *next = shared, *all = next + kWarps * experts, *before = all + experts, *offsets = before + experts;
  const int begin = begin_of_stretch(stretch), end = min(n, begin + stretch);
  count_stretches(chosen, begin, end, experts, next);
  const int block = static_cast<int>(blockIdx.x), blocks = static_cast<int>(gridDim.x);
  for (int e = threadIdx.x; e < experts; e += kThreads) {
    int sum = 0, sum_before = 0;
#pragma unroll 8
    for (int b = 0; b < blocks; ++b) {
      const int count = counts[b * experts + e];
      sum += count;
      if (b < block) sum_before += count;
    }
    all[e] = sum;
    before[e] = sum_before;
  }
  __syncthreads();
  if (threadIdx.x < 32) {
    const int pairs = scan_by_warp(experts, offsets, [&](int e) { return all[e]; });
    if (threadIdx.x == 0) offsets[experts] = pairs;
  }
  __syncthreads();
  for (int e = threadIdx.x; e < experts; e += kThreads) {
    int at = offsets[e] + before[e];
    for (int w = 0; w < kWarps; ++w) {
      const int count = next[w * experts + e];
      next[w * experts + e] = at;
      at += count;
    }
    if (block > 0) continue;
    out.counts[e] = all[e];
    out.offsets[e] = offsets[e];
    if (out.total) out.total[e] += all[e];
  }
  const int pairs = offsets[experts];
  if (block == 0 && threadIdx.x == 0) out.offsets[experts] = pairs;
  __syncthreads();
  int* own = next + static_cast<int>(threadIdx.x / 32) * experts;
  walk(chosen, begin, end, experts, [&](int i, int expert, unsigned peers) {
    const unsigned earlier = (1u << (threadIdx.x % 32)) - 1;
    const int at = expert < 0 ? -1 : own[expert] + __popc(peers & earlier);
    __syncwarp();  // all have read before one moves on
    if (expert >= 0 && first_of(peers)) own[expert] += __popc(peers);
    if (i >= end) return;
    out.slots[i] = at;
    if (at < 0) return;
    out.pairs[at] = i;
    out.tokens[at] = i / k;
  });
  const int tile = kWarps * stretch;
  for (int i = block * tile + static_cast<int>(threadIdx.x); i < min(n, (block + 1) * tile); i += kThreads)
    if (i >= pairs) out.pairs[i] = out.tokens[i] = -1;
}

constexpr std::int64_t kMostPairs = std::int64_t{1} << 30;

}  // namespace

void sort_by_expert(const Stream& stream, View chosen, View slots, View pairs, View tokens, View counts, View offsets,
                    View total) {
  constexpr std::int64_t kMostExperts = 1024;  // what 48 KiB of shared memory have room for
  constexpr std::int64_t kBlocks = 128;        // about; each reads the counts of all
  if (chosen.shape.rank() < 1 || counts.shape.rank() < 1)
    fail_run("sort_by_expert: 'chosen' {} or 'counts' {} has no axes", chosen.shape.text(), counts.shape.text());
  const std::int64_t k = chosen.cols(), n = chosen.rows() * k, experts = counts.rows();
  if (experts < 1 || experts > kMostExperts || n > kMostPairs)
    fail_run("sort_by_expert: {} experts, {} pairs; a GPU sorts among 1 to {} experts, up to {} pairs", experts, n,
             kMostExperts, kMostPairs);
  expect_vector(chosen, Dtype::i32, n, "sort_by_expert", "chosen");
  expect_vector(slots, Dtype::i32, n, "sort_by_expert", "slots");
  expect_vector(pairs, Dtype::i32, n, "sort_by_expert", "pairs");
  expect_vector(tokens, Dtype::i32, n, "sort_by_expert", "tokens");
  expect_vector(counts, Dtype::i64, experts, "sort_by_expert", "counts");
  expect_vector(offsets, Dtype::i64, experts + 1, "sort_by_expert", "offsets");
  if (total) expect_vector(total, Dtype::i64, experts, "sort_by_expert", "total");
  const Span span(stream, "sort_by_expert", {16.0 * static_cast<double>(n), 0});
  constexpr std::int64_t kLeast = 32 * kAhead;
  const std::int64_t stretch = kLeast * std::max<std::int64_t>(1, ceil_div(n, kLeast * kWarps * kBlocks));
  const std::int64_t blocks = std::max<std::int64_t>(1, ceil_div(n, stretch * kWarps));
  const Scratch scratch(stream, static_cast<std::size_t>(blocks * experts) * sizeof(int));
  const auto grid = static_cast<unsigned>(blocks);
  const auto room = static_cast<std::size_t>(experts) * sizeof(int);
  count_chosen<<<grid, kThreads, kWarps * room, device::native(stream)>>>(
      chosen.i32(), static_cast<int>(n), static_cast<int>(stretch), static_cast<int>(experts), scratch.as<int>());
  check_launch();
  const Sorted out{slots.i32(),
                   pairs.i32(),
                   tokens.i32(),
                   counts.as<std::int64_t>(),
                   offsets.as<std::int64_t>(),
                   total ? total.as<std::int64_t>() : nullptr};
  place_chosen<<<grid, kThreads, (kWarps + 3) * room + sizeof(int), device::native(stream)>>>(
      chosen.i32(), static_cast<int>(n), static_cast<int>(k), static_cast<int>(stretch), static_cast<int>(experts),
      scratch.as<int>(), out);
  check_launch();
}

}  // namespace eddy::kernels::cuda
