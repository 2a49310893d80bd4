#include "net/pace.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/error.h"

namespace eddy::net {
namespace {
constexpr double kLongestHold = 86400;  // a clock that was set back must not stop the crawl for longer
}

Pace::Pace(std::filesystem::path file, double interval, double floor, double now)
    : path_(std::move(file)), interval_(std::max(interval, floor)), floor_(floor) {
  file_ = io::Descriptor(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (file_.get() < 0) fail_run("cannot write {}: {}", path_.string(), std::strerror(errno));
  const std::string text = io::read_file(path_);
  int open = 0;
  if (std::sscanf(text.c_str(), "%lf %lf %d", &last_, &hold_, &open) != 3) last_ = hold_ = 0;
  // Killed with a request under way: it may have reached the server at any time up to now.
  if (open != 0) last_ = std::max(last_, now);
}

double Pace::next_at(double now) const {
  const double last = std::min(last_, now), hold = std::min(hold_, now + kLongestHold);
  return std::max({last_ > 0 ? last + interval_ : 0.0, hold, 0.0});
}

void Pace::save() const {
  const std::string text = fmt::format("{:020.6f} {:020.6f} {}\n", last_, hold_, under_way_ ? 1 : 0);
  // Not synced: the process may be killed, and what it wrote stays; a machine that goes down takes longer to come back
  // than any interval here.
  if (::pwrite(file_.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
    fail_run("cannot write {}: {}", path_.string(), std::strerror(errno));
}

void Pace::sent(double now) {
  last_ = now;
  under_way_ = true;
  save();
}

void Pace::answered(double when) {
  last_ = std::max(last_, when);
  under_way_ = false;
  save();
}

void Pace::hold_until(double when) {
  hold_ = when;
  save();
}

void Pace::set_interval(double seconds) {
  interval_ = std::max(seconds, floor_);
}

}  // namespace eddy::net
