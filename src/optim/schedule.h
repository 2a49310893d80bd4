#pragma once
// The learning rate as a pure function of the step.
#include <cstdint>
#include <string>

namespace eddy::optim {

enum class ScheduleKind { constant, linear, cosine, wsd };
ScheduleKind parse_schedule(const std::string& name);  ///< throws Error (status 2)

struct Schedule {
  ScheduleKind kind = ScheduleKind::cosine;
  double lr = 1e-4;        ///< the peak
  double min_ratio = 0.1;  ///< the lowest rate after the peak, as a part of it
  std::int64_t warmup_steps = 0;
  std::int64_t total_steps = 1;  ///< where decay ends; the rate stays at lr · min_ratio from there on
  double decay_fraction = 0.1;   ///< wsd: the part of total_steps in which the rate falls, at the end
};

/// Rate of step `step` (the first is 0). Warm-up: lr · (step + 1) / warmup_steps, so that no step is wasted on rate 0
/// and the last of them runs at the peak. Then, with p from 0 (first step after warm-up) to 1 (total_steps):
///   constant  lr
///   linear    lr · (1 - (1 - min_ratio) · p)
///   cosine    lr · (min_ratio + (1 - min_ratio) · (1 + cos πp) / 2)       (Loshchilov & Hutter 2017, eq. 5)
///   wsd       lr up to the last decay_fraction of the steps, then linearly to lr · min_ratio   (arXiv 2404.06395, sec.
///   4)
double lr_at(const Schedule& schedule, std::int64_t step);

}  // namespace eddy::optim
