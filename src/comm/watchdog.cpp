#include "comm/watchdog.h"

#include <algorithm>

namespace eddy::comm {
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

Watchdog::~Watchdog() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Watchdog::set_timeout(double seconds) {
  {
    std::lock_guard lock(mutex_);
    timeout_ = Seconds(std::max(0.0, seconds));
    if (timeout_.count() > 0 && !thread_.joinable()) thread_ = std::thread([this] { watch(); });
  }
  changed_.notify_all();
}

double Watchdog::timeout() const {
  const std::lock_guard lock(mutex_);
  return timeout_.count();
}

void Watchdog::watch() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (timeout_.count() <= 0) {
      changed_.wait(lock);
      continue;
    }
    const auto now = Clock::now();
    // An operation that begins while this thread sleeps cannot end before now + timeout_, so no call has to wake it.
    Seconds sleep = timeout_;
    for (const Guard* g = first_; g; g = g->next_) {
      const Seconds age = now - g->operation_.start;
      if (age >= timeout_) {
        const Operation late = g->operation_;
        const std::string group = *late.group;  // the guard may go once the lock is released
        lock.unlock();
        expired_({late.name, &group, late.rank, late.size, late.start}, age.count());
        return;
      }
      sleep = std::min(sleep, timeout_ - age);
    }
    changed_.wait_for(lock, std::min(sleep, Seconds(3600)) + Seconds(1e-3));
  }
}

Watchdog::Guard::Guard(Watchdog* watchdog, const char* name, const std::string& group, int rank, int size)
    : watchdog_(watchdog), operation_{name, &group, rank, size, Clock::now()} {
  if (!watchdog_) return;
  std::lock_guard lock(watchdog_->mutex_);
  next_ = watchdog_->first_;
  if (next_) next_->previous_ = this;
  watchdog_->first_ = this;
}

Watchdog::Guard::~Guard() {
  if (!watchdog_) return;
  std::lock_guard lock(watchdog_->mutex_);
  (previous_ ? previous_->next_ : watchdog_->first_) = next_;
  if (next_) next_->previous_ = previous_;
}

}  // namespace eddy::comm
