#pragma once
// The next token from its logits.
#include <cstdint>
#include <span>

namespace eddy::generate {

struct Sampling {
  bool greedy = false;       ///< the likeliest token (the lowest id on a tie)
  double temperature = 0.6;  ///< > 0; divides the logits
  double top_p =
      0.95;  ///< (0, 1]: the smallest set of likeliest tokens with at least this probability (Holtzman et al. 2020)
  std::uint64_t seed = 0;
};
/// logits [V]. The draw depends only on (seed, position): the same on every rank, layout and run.
std::int32_t next_token(std::span<const float> logits, const Sampling& sampling, std::uint64_t position);

}  // namespace eddy::generate
