#include "kernels/router/router.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "kernels/common/checks.h"
#include "kernels/common/math.h"
#include "kernels/common/scratch.h"
#include "kernels/router/router_cuda.h"

namespace eddy::kernels {
namespace {

void check(const RouterConfig& c, const char* op) {
  if (c.experts < 1 || c.top_k < 1 || c.top_k > c.experts || c.groups < 1 || c.experts % c.groups != 0 ||
      c.groups_kept < 1 || c.groups_kept > c.groups)
    fail_run("{}: top {} of {} experts, {} of {} groups kept, cannot be", op, c.top_k, c.experts, c.groups_kept,
             c.groups);
}

/// One token's scores [E] from its logits [E].
void score(const float* logits, const RouterConfig& c, float* scores) {
  if (c.sigmoid) {
#pragma omp simd
    for (int e = 0; e < c.experts; ++e) scores[e] = sigmoid_f32(logits[e]);
    return;
  }
  float max = -std::numeric_limits<float>::infinity(), sum = 0;
  for (int e = 0; e < c.experts; ++e) max = logits[e] > max ? logits[e] : max;
  for (int e = 0; e < c.experts; ++e) sum += scores[e] = exp_f32(logits[e] - max);
  for (int e = 0; e < c.experts; ++e) scores[e] /= sum;
}

/// The indices of the k greatest of n values, greatest first, the lower index first among equals.
void top(const float* values, int n, int k, std::int32_t* out) {
  int found = 0;
  for (std::int32_t i = 0; i < n; ++i) {
    if (found == k && !(values[i] > values[out[k - 1]])) continue;
    int at = found < k ? found++ : k - 1;
    for (; at > 0 && values[i] > values[out[at - 1]]; --at) out[at] = out[at - 1];
    out[at] = i;
  }
}

/// One token's experts. `choice` [E] holds what is compared (overwritten); group_score [groups] and kept [groups_kept]
/// are room for the groups.
void choose(const RouterConfig& c, float* choice, float* group_score, std::int32_t* kept, std::int32_t* indices) {
  // A NaN (a run gone wrong, caught at the loss) must still give valid indices: it counts as greatest, as in
  // torch.topk.
  for (int e = 0; e < c.experts; ++e)
    if (std::isnan(choice[e])) choice[e] = std::numeric_limits<float>::infinity();
  if (c.groups > 1) {
    const int size = c.experts / c.groups;
    for (int g = 0; g < c.groups; ++g) {
      const float* member = choice + g * size;
      std::int32_t best[2];
      const int count = c.noaux ? std::min(2, size) : 1;
      top(member, size, count, best);
      group_score[g] = count == 2 ? member[best[0]] + member[best[1]] : member[best[0]];
    }
    top(group_score, c.groups, c.groups_kept, kept);
    for (int g = 0; g < c.groups; ++g)
      if (std::find(kept, kept + c.groups_kept, g) == kept + c.groups_kept)
        std::fill_n(choice + g * size, size, 0.0f);  // zero, not -infinity: the published code's masked_fill
  }
  top(choice, c.experts, c.top_k, indices);
}

/// One token's weights [k] for its experts; 0 where the index is -1.
void weigh(const RouterConfig& c, const float* scores, const std::int32_t* indices, float* weights) {
  float sum = 0;
  for (int j = 0; j < c.top_k; ++j) sum += weights[j] = indices[j] < 0 ? 0.0f : scores[indices[j]];
  const float denominator = c.normalize ? sum + 1e-20f : 1.0f;
  for (int j = 0; j < c.top_k; ++j) weights[j] = weights[j] / denominator * c.scaling;
}

}  // namespace

void router(const Stream& stream, View logits, View bias, View valid, const RouterConfig& config, View scores,
            View indices, View weights) {
  check(config, "router");
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::router(stream, logits, bias, valid, config, scores, indices, weights);
  const Rows in = rows_of(logits, -1, config.experts, {"router", "logits"});
  const std::int64_t tokens = in.rows, k = config.top_k;
  const Rows out = rows_of(scores, tokens, config.experts, {"router", "scores"});
  std::int32_t* index = ints_of(indices, tokens * k, {"router", "indices"});
  float* weight = floats_of(weights, tokens * k, {"router", "weights"});
  const float* b = config.noaux && bias ? floats_of(bias, config.experts, {"router", "bias"}) : nullptr;
  const std::uint8_t* use = valid ? bytes_of(valid, tokens, {"router", "valid"}) : nullptr;
#pragma omp parallel if (worth_threads(tokens * config.experts * 4))
  {
    float* choice = scratch<float>(config.experts + config.groups);
    float* group_score = choice + config.experts;
    std::int32_t* kept = scratch<std::int32_t>(config.groups_kept);
#pragma omp for schedule(static)
    for (std::int64_t t = 0; t < tokens; ++t) {
      score(in[t], config, out[t]);
      if (use && !use[t]) {
        std::fill_n(index + t * k, k, -1);
      } else {
        for (int e = 0; e < config.experts; ++e) choice[e] = b ? out[t][e] + b[e] : out[t][e];
        choose(config, choice, group_score, kept, index + t * k);
      }
      weigh(config, out[t], index + t * k, weight + t * k);
    }
  }
}

void router_replay(const Stream& stream, View logits, View indices, const RouterConfig& config, View scores,
                   View weights) {
  check(config, "router_replay");
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::router_replay(stream, logits, indices, config, scores, weights);
  const Rows in = rows_of(logits, -1, config.experts, {"router_replay", "logits"});
  const std::int64_t tokens = in.rows, k = config.top_k;
  const Rows out = rows_of(scores, tokens, config.experts, {"router_replay", "scores"});
  const std::int32_t* index = ints_of(indices, tokens * k, {"router_replay", "indices"});
  float* weight = floats_of(weights, tokens * k, {"router_replay", "weights"});
  check_indices(index, tokens * k, config.experts, {"router_replay", "indices"});
#pragma omp parallel for schedule(static) if (worth_threads(tokens * config.experts))
  for (std::int64_t t = 0; t < tokens; ++t) {
    score(in[t], config, out[t]);
    weigh(config, out[t], index + t * k, weight + t * k);
  }
}

void router_backward(const Stream& stream, View dweights, View scores, View indices, View dscores,
                     const RouterConfig& config, View dlogits) {
  check(config, "router_backward");
  if constexpr (device::kCuda)
    if (stream.on_gpu()) return cuda::router_backward(stream, dweights, scores, indices, dscores, config, dlogits);
  const Rows s = rows_of(scores, -1, config.experts, {"router_backward", "scores"});
  const std::int64_t tokens = s.rows, k = config.top_k;
  const float* dw = floats_of(dweights, tokens * k, {"router_backward", "dweights"});
  const std::int32_t* index = ints_of(indices, tokens * k, {"router_backward", "indices"});
  const Rows extra = dscores ? rows_of(dscores, tokens, config.experts, {"router_backward", "dscores"}) : Rows{};
  const Rows out = rows_of(dlogits, tokens, config.experts, {"router_backward", "dlogits"});
  check_indices(index, tokens * k, config.experts, {"router_backward", "indices"});
#pragma omp parallel for schedule(static) if (worth_threads(tokens * config.experts))
  for (std::int64_t t = 0; t < tokens; ++t) {
    const float* a = s[t];
    float* d = out[t];  // first the gradient of the scores, then that of the logits
    if (extra.data)
      std::copy_n(extra[t], config.experts, d);
    else
      std::fill_n(d, config.experts, 0.0f);
    const std::int32_t* chosen = index + t * k;
    // w_j = scaling · s_j / S with S = Σ s + 1e-20: ds_j = scaling / S · (dw_j - Σ_i dw_i s_i / S).
    float sum = 1e-20f, dot = 0;
    for (std::int64_t j = 0; j < k; ++j) {
      if (chosen[j] < 0) continue;
      sum += a[chosen[j]];
      dot += dw[t * k + j] * a[chosen[j]];
    }
    const float factor = config.normalize ? config.scaling / sum : config.scaling;
    const float shift = config.normalize ? dot / sum : 0.0f;
    for (std::int64_t j = 0; j < k; ++j)
      if (chosen[j] >= 0) d[chosen[j]] += factor * (dw[t * k + j] - shift);
    if (config.sigmoid) {
      for (int e = 0; e < config.experts; ++e) d[e] *= a[e] * (1.0f - a[e]);
    } else {
      float mean = 0;
      for (int e = 0; e < config.experts; ++e) mean += d[e] * a[e];
      for (int e = 0; e < config.experts; ++e) d[e] = a[e] * (d[e] - mean);
    }
  }
}

}  // namespace eddy::kernels
