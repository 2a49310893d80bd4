#include "hf/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace eddy::hf {
namespace {

/// The pair that turns `rotations` times over the original positions (YaRN, section 3.2).
double correction_pair(double rotations, const ModelConfig& c) {
  const double dim = c.qk_rope_head_dim;
  return dim * std::log(c.rope_scaling->original_max_position / (rotations * 2 * std::numbers::pi)) /
         (2 * std::log(c.rope_theta));
}

struct Range {
  double low, high;
};

/// Pairs below `low` keep their frequency, those above `high` are interpolated, between them a ramp.
Range correction_range(const ModelConfig& c) {
  double low = correction_pair(c.rope_scaling->beta_fast, c), high = correction_pair(c.rope_scaling->beta_slow, c);
  if (c.rope_scaling->truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, c.qk_rope_head_dim - 1.0);
  if (low == high) high += 0.001;  // the ramp would divide by zero
  return {low, high};
}

double magnitude(const RopeScaling& s) {
  if (s.attention_factor) return *s.attention_factor;
  if (s.mscale != 0 && s.mscale_all_dim != 0)
    return yarn_mscale(s.factor, s.mscale) / yarn_mscale(s.factor, s.mscale_all_dim);
  return yarn_mscale(s.factor, 1);
}

}  // namespace

double yarn_mscale(double factor, double weight) {
  return factor <= 1 ? 1.0 : 0.1 * weight * std::log(factor) + 1.0;
}

RopeFrequencies rope_frequencies(const ModelConfig& c) {
  RopeFrequencies out;
  const int pairs = c.qk_rope_head_dim / 2;
  const Range range = c.rope_scaling ? correction_range(c) : Range{0, 0};
  for (int i = 0; i < pairs; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(c.qk_rope_head_dim);
    const auto period = static_cast<float>(std::pow(c.rope_theta, static_cast<double>(exponent)));  // over 2π
    float frequency = 1.0f / period;
    if (c.rope_scaling) {
      const float interpolated = 1.0f / (static_cast<float>(c.rope_scaling->factor) * period);
      const float ramp =
          (static_cast<float>(i) - static_cast<float>(range.low)) / static_cast<float>(range.high - range.low);
      const float kept = 1.0f - std::clamp(ramp, 0.0f, 1.0f);
      frequency = interpolated * (1.0f - kept) + frequency * kept;
    }
    out.inverse_frequency.push_back(frequency);
  }
  if (c.rope_scaling) out.magnitude = magnitude(*c.rope_scaling);
  return out;
}

}  // namespace eddy::hf
