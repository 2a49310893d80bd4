// One warp a token; lane l holds the experts l, l + 32, …. The CPU refuses indices outside their range; here they are
// read as -1: seeing them on the host would need a wait.
#include <algorithm>

#include "kernels/common/cuda.cuh"
#include "kernels/router/router_cuda.h"

namespace eddy::kernels::cuda {
namespace {

constexpr int kWarps = 4, kThreads = 32 * kWarps;  // of a block
constexpr unsigned kAll = 0xffffffffu;
constexpr int kMostExperts = 512, kMostChosen = 32, kMostGroups = 32;

struct Matrix {
  float* data;
  std::int64_t stride;
  __device__ float* operator[](std::int64_t r) const { return data + r * stride; }
};
Matrix matrix_of(const View& v) {
  return {v.f32(), v.row_stride};
}

/// Greater for the greater float, equal for equal ones (-0 and 0 too), never 0. Not for NaN.
__device__ unsigned key_of(float v) {
  const unsigned bits = __float_as_uint(v + 0.f);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/// The token's scores from its logits (in place).
template <int kPer>
__device__ void score(float (&v)[kPer], const RouterConfig& c) {
  const int lane = threadIdx.x % 32;
  if (c.sigmoid) {
#pragma unroll
    for (int i = 0; i < kPer; ++i) v[i] = 1.f / (1.f + expf(-v[i]));
    return;
  }
  float max = -INFINITY, sum = 0;
#pragma unroll
  for (int i = 0; i < kPer; ++i)
    if (lane + 32 * i < c.experts) max = fmaxf(max, v[i]);
  max = warp_max(max);
#pragma unroll
  for (int i = 0; i < kPer; ++i)
    if (lane + 32 * i < c.experts) sum += v[i] = expf(v[i] - max);
  sum = warp_sum(sum);
#pragma unroll
  for (int i = 0; i < kPer; ++i) v[i] /= sum;
}

/// The groups kept, a bit each, from the token's choice [experts] (shared): lane g has group g.
__device__ unsigned keep_groups(const float* choice, const RouterConfig& c) {
  const int lane = threadIdx.x % 32, size = c.experts / c.groups;
  float best = -INFINITY, second = -INFINITY;
  if (lane < c.groups)
    for (int m = 0; m < size; ++m) {
      const float v = choice[lane * size + (m + lane) % size];  // each lane another bank; the order does not matter
      if (v > best)
        second = best, best = v;
      else if (v > second)
        second = v;
    }
  const float own = c.noaux && size > 1 ? best + second : best;
  int rank = 0;
  for (int g = 0; g < c.groups; ++g) {
    const float other = __shfl_sync(kAll, own, g);
    if (other > own || (other == own && g < lane)) ++rank;
  }
  return __ballot_sync(kAll, lane < c.groups && rank < c.groups_kept);
}

/// The experts with the top_k greatest of choice, greatest first, the lower first among equals: lane j gets the j-th.
/// The index is -1 on the other lanes.
template <int kPer>
__device__ int choose(const float (&choice)[kPer], const RouterConfig& c) {
  const int lane = threadIdx.x % 32;
  unsigned key[kPer];  // 0: not there, or taken
#pragma unroll
  for (int i = 0; i < kPer; ++i) key[i] = lane + 32 * i < c.experts ? key_of(choice[i]) : 0;
  int chosen = -1;
  for (int j = 0; j < c.top_k; ++j) {
    unsigned best = 0, at = 0;
#pragma unroll
    for (int i = 0; i < kPer; ++i)
      if (key[i] > best) best = key[i], at = static_cast<unsigned>(lane + 32 * i);
    const unsigned top = __reduce_max_sync(kAll, best);
    const int expert = static_cast<int>(__reduce_min_sync(kAll, best == top ? at : kAll));
#pragma unroll
    for (int i = 0; i < kPer; ++i)
      if (lane + 32 * i == expert) key[i] = 0;
    if (lane == j) chosen = expert;
  }
  return chosen;
}

/// Lane j's weight for its expert (-1: none); scores [experts] is shared. The sum runs in the order of j.
__device__ float weigh(const float* scores, int expert, const RouterConfig& c) {
  const float own = expert < 0 ? 0.f : scores[expert];
  if (!c.normalize) return own * c.scaling;
  float sum = 0;
  for (int j = 0; j < c.top_k; ++j) sum += __shfl_sync(kAll, own, j);
  return own / (sum + 1e-20f) * c.scaling;
}

/// indices are written, or (kReplay) read.
template <int kPer, bool kReplay>
__global__ void __launch_bounds__(kThreads)
    route(Matrix logits, const float* bias, const std::uint8_t* valid, RouterConfig c, std::int64_t tokens,
          Matrix scores, std::int32_t* indices, float* weights) {
  __shared__ float shared[kWarps][2][32 * kPer];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  float *token_scores = shared[warp][0], *token_choice = shared[warp][1];
  const std::int64_t t = std::int64_t{blockIdx.x} * kWarps + warp;
  if (t >= tokens) return;
  float v[kPer];
#pragma unroll
  for (int i = 0; i < kPer; ++i) v[i] = lane + 32 * i < c.experts ? logits[t][lane + 32 * i] : 0.f;
  score(v, c);
#pragma unroll
  for (int i = 0; i < kPer; ++i) {
    const int e = lane + 32 * i;
    if (e >= c.experts) continue;
    scores[t][e] = token_scores[e] = v[i];
    if constexpr (!kReplay) {
      if (bias) v[i] += bias[e];
      if (isnan(v[i])) v[i] = INFINITY;  // NaN counts as greatest, so that indices are valid (router_cpu.cpp)
      token_choice[e] = v[i];
    }
  }
  __syncwarp();
  int expert = -1;
  if constexpr (kReplay) {
    if (lane < c.top_k) expert = indices[t * c.top_k + lane];
    if (expert < 0 || expert >= c.experts) expert = -1;
  } else {
    if (!valid || valid[t]) {
      if (c.groups > 1) {
        const unsigned kept = keep_groups(token_choice, c);
        const int size = c.experts / c.groups;
#pragma unroll
        for (int i = 0; i < kPer; ++i)
          if (lane + 32 * i < c.experts && !(kept >> ((lane + 32 * i) / size) & 1)) v[i] = 0.f;
      }
      expert = choose(v, c);
    }
    if (lane < c.top_k) indices[t * c.top_k + lane] = expert;
  }
  const float weight = weigh(token_scores, expert, c);
  if (lane < c.top_k) weights[t * c.top_k + lane] = weight;
}

/// dscores.data may be null.
template <int kPer, class T>
__global__ void __launch_bounds__(kThreads)
    backward(const float* dweights, Matrix scores, const std::int32_t* indices, Matrix dscores, RouterConfig c,
             std::int64_t tokens, T* dlogits, std::int64_t dlogits_stride) {
  const int lane = threadIdx.x % 32;
  const std::int64_t t = std::int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  if (t >= tokens) return;
  float s[kPer], d[kPer];  // d: first the gradient of the scores, then that of the logits
#pragma unroll
  for (int i = 0; i < kPer; ++i) {
    const int e = lane + 32 * i;
    s[i] = e < c.experts ? scores[t][e] : 0.f;
    d[i] = dscores.data && e < c.experts ? dscores[t][e] : 0.f;
  }
  int expert = lane < c.top_k ? indices[t * c.top_k + lane] : -1;
  if (expert < 0 || expert >= c.experts) expert = -1;
  const float dw = expert < 0 ? 0.f : dweights[t * c.top_k + lane];
  const float own = expert < 0 ? 0.f : scores[t][expert];
  // w_j = scaling · s_j / S with S = Σ s + 1e-20: ds_j = scaling / S · (dw_j - Σ_i dw_i s_i / S).
  float sum = 1e-20f, dot = 0;
  for (int j = 0; j < c.top_k; ++j) {
    const float other = __shfl_sync(kAll, own, j);
    sum += other;
    dot = fmaf(__shfl_sync(kAll, dw, j), other, dot);
  }
  const float factor = c.normalize ? c.scaling / sum : c.scaling, shift = c.normalize ? dot / sum : 0.f;
  const float add = factor * (dw - shift);
  for (int j = 0; j < c.top_k; ++j) {
    const int to = __shfl_sync(kAll, expert, j);
    const float value = __shfl_sync(kAll, add, j);
#pragma unroll
    for (int i = 0; i < kPer; ++i)
      if (lane + 32 * i == to) d[i] += value;
  }
  float mean = 0;
  if (!c.sigmoid) {
#pragma unroll
    for (int i = 0; i < kPer; ++i) mean = fmaf(d[i], s[i], mean);
    mean = warp_sum(mean);
  }
#pragma unroll
  for (int i = 0; i < kPer; ++i) {
    const float out = c.sigmoid ? d[i] * (s[i] * (1.f - s[i])) : s[i] * (d[i] - mean);
    if (lane + 32 * i < c.experts) dlogits[t * dlogits_stride + lane + 32 * i] = from_float<T>(out);
  }
}

void check_limits(const RouterConfig& c, const char* op) {
  if (c.experts > kMostExperts || c.top_k > kMostChosen || c.groups > kMostGroups)
    fail_run("{}: top {} of {} experts in {} groups; a GPU routes to up to {} of {} in {} groups", op, c.top_k,
             c.experts, c.groups, kMostChosen, kMostExperts, kMostGroups);
}

/// Calls f with how many experts a lane holds.
template <class F>
void with_experts(int experts, F f) {
  if (experts <= 64) return f(std::integral_constant<int, 2>{});
  if (experts <= 256) return f(std::integral_constant<int, 8>{});
  f(std::integral_constant<int, kMostExperts / 32>{});
}

unsigned blocks_for(std::int64_t tokens) {
  return static_cast<unsigned>(ceil_div(tokens, kWarps));
}

}  // namespace

void router(const Stream& stream, View logits, View bias, View valid, const RouterConfig& config, View scores,
            View indices, View weights) {
  check_limits(config, "router");
  const std::int64_t tokens = logits.shape.rank() < 1 ? 0 : logits.rows(), k = config.top_k;
  expect_rows(logits, Dtype::f32, tokens, config.experts, "router", "logits");
  expect_rows(scores, Dtype::f32, tokens, config.experts, "router", "scores");
  expect_vector(indices, Dtype::i32, tokens * k, "router", "indices");
  expect_vector(weights, Dtype::f32, tokens * k, "router", "weights");
  if (config.noaux && bias) expect_vector(bias, Dtype::f32, config.experts, "router", "bias");
  if (valid) expect_vector(valid, Dtype::u8, tokens, "router", "valid");
  const auto n = static_cast<double>(tokens);
  const Span span(stream, "router", {n * (8.0 * config.experts + 8.0 * config.top_k), 0});
  if (tokens == 0) return;
  with_experts(config.experts, [&](auto per) {
    route<decltype(per)::value, false><<<blocks_for(tokens), kThreads, 0, device::native(stream)>>>(
        matrix_of(logits), config.noaux && bias ? bias.f32() : nullptr, valid ? valid.as<std::uint8_t>() : nullptr,
        config, tokens, matrix_of(scores), indices.i32(), weights.f32());
  });
  check_launch();
}

void router_replay(const Stream& stream, View logits, View indices, const RouterConfig& config, View scores,
                   View weights) {
  check_limits(config, "router_replay");
  const std::int64_t tokens = logits.shape.rank() < 1 ? 0 : logits.rows(), k = config.top_k;
  expect_rows(logits, Dtype::f32, tokens, config.experts, "router_replay", "logits");
  expect_rows(scores, Dtype::f32, tokens, config.experts, "router_replay", "scores");
  expect_vector(indices, Dtype::i32, tokens * k, "router_replay", "indices");
  expect_vector(weights, Dtype::f32, tokens * k, "router_replay", "weights");
  const auto n = static_cast<double>(tokens);
  const Span span(stream, "router_replay", {n * (8.0 * config.experts + 8.0 * config.top_k), 0});
  if (tokens == 0) return;
  with_experts(config.experts, [&](auto per) {
    route<decltype(per)::value, true><<<blocks_for(tokens), kThreads, 0, device::native(stream)>>>(
        matrix_of(logits), nullptr, nullptr, config, tokens, matrix_of(scores), indices.i32(), weights.f32());
  });
  check_launch();
}

void router_backward(const Stream& stream, View dweights, View scores, View indices, View dscores,
                     const RouterConfig& config, View dlogits) {
  check_limits(config, "router_backward");
  const std::int64_t tokens = scores.shape.rank() < 1 ? 0 : scores.rows(), k = config.top_k;
  expect_rows(scores, Dtype::f32, tokens, config.experts, "router_backward", "scores");
  expect_vector(dweights, Dtype::f32, tokens * k, "router_backward", "dweights");
  expect_vector(indices, Dtype::i32, tokens * k, "router_backward", "indices");
  if (dscores) expect_rows(dscores, Dtype::f32, tokens, config.experts, "router_backward", "dscores");
  expect_rows(dlogits, dlogits.dtype, tokens, config.experts, "router_backward", "dlogits");
  const auto n = static_cast<double>(tokens);
  const double out = static_cast<double>(size_of(dlogits.dtype));
  const Span span(stream, "router_backward",
                  {n * ((dscores ? 8.0 : 4.0) * config.experts + 8.0 * config.top_k + out * config.experts), 0});
  if (tokens == 0) return;
  with_type(dlogits.dtype, "router_backward", [&](auto t) {
    using T = decltype(t);
    with_experts(config.experts, [&](auto per) {
      backward<decltype(per)::value, T><<<blocks_for(tokens), kThreads, 0, device::native(stream)>>>(
          dweights.f32(), matrix_of(scores), indices.i32(), dscores ? matrix_of(dscores) : Matrix{}, config, tokens,
          static_cast<T*>(dlogits.data), dlogits.row_stride);
    });
  });
  check_launch();
}

}  // namespace eddy::kernels::cuda
