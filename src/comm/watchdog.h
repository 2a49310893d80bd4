#pragma once
// Notices a call that does not return: one thread a process, asleep but for a look at the clock now and then.
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace eddy::comm {

/// What a thread of this process waits in, and since when.
struct Operation {
  const char* name;          ///< "all_reduce"
  const std::string* group;  ///< "tp{0,1}"; outlives the call
  int rank, size;            ///< in the group
  std::chrono::steady_clock::time_point start;
};

class Watchdog {
 public:
  /// `expired` is called on the watchdog's thread, once, with the operation and its age in seconds.
  using Expired = std::function<void(const Operation&, double)>;
  /// Ends the job with a message; calls its second argument between the message and the end.
  using Report = std::function<void(const std::string&, const std::function<void()>&)>;
  explicit Watchdog(Expired expired, Report report = {}) : expired_(std::move(expired)), report_(std::move(report)) {}
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// Seconds an operation may take (0: any time). Holds for operations that are already under way, too.
  void set_timeout(double seconds);
  double timeout() const;
  /// What another watcher found (comm/gpu_watch.h) ends the job. Any thread.
  void report(const std::string& message, const std::function<void()>& last) const {
    if (report_) report_(message, last);
  }

  /// Publishes an operation while it lives. A null watchdog watches nothing. Costs two uncontended locks.
  class Guard {
   public:
    Guard(Watchdog* watchdog, const char* name, const std::string& group, int rank, int size);
    ~Guard();
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    friend class Watchdog;
    Watchdog* watchdog_;
    Operation operation_;
    Guard* next_ = nullptr;
    Guard* previous_ = nullptr;
  };

 private:
  void watch();
  Expired expired_;
  Report report_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Guard* first_ = nullptr;  ///< operations under way (one a thread, seldom more than one)
  std::chrono::duration<double> timeout_{0};
  bool stop_ = false;
  std::thread thread_;  ///< started with the first time-out
};

}  // namespace eddy::comm
