#include "optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace eddy::optim {

ScheduleKind parse_schedule(const std::string& name) {
  if (name == "constant") return ScheduleKind::constant;
  if (name == "linear") return ScheduleKind::linear;
  if (name == "cosine") return ScheduleKind::cosine;
  if (name == "wsd") return ScheduleKind::wsd;
  fail_input("optim.schedule = '{}' is unknown; allowed: constant, linear, cosine, wsd", name);
}

double lr_at(const Schedule& s, std::int64_t step) {
  if (step < s.warmup_steps) return s.lr * static_cast<double>(step + 1) / static_cast<double>(s.warmup_steps);
  // How far `step` is from `begin` to the end, 0 to 1.
  const auto progress = [&](double begin) {
    const double length = static_cast<double>(s.total_steps) - begin;
    return length <= 0 ? 1.0 : std::clamp((static_cast<double>(step) - begin) / length, 0.0, 1.0);
  };
  const double warm = static_cast<double>(s.warmup_steps);
  const double fall = 1 - s.min_ratio;
  switch (s.kind) {
    case ScheduleKind::constant:
      return s.lr;
    case ScheduleKind::linear:
      return s.lr * (1 - fall * progress(warm));
    case ScheduleKind::cosine:
      return s.lr * (s.min_ratio + fall * (1 + std::cos(std::numbers::pi * progress(warm))) / 2);
    case ScheduleKind::wsd: {
      const double begin = std::max(warm, static_cast<double>(s.total_steps) * (1 - s.decay_fraction));
      return static_cast<double>(step) < begin ? s.lr : s.lr * (1 - fall * progress(begin));
    }
  }
  return s.lr;
}

}  // namespace eddy::optim
