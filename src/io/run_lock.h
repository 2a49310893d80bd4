#pragma once
// One live run a folder: a lock file with who holds it and a heartbeat.
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>

#include "base/process.h"

namespace eddy::io {

/// Holds `file` while it lives, and refreshes its heartbeat from a thread of its own.
class RunLock {
 public:
  /// A heartbeat this old is a dead run's.
  static constexpr std::chrono::seconds kStale{60};

  /// Throws Error (status 2), naming the holder, when a live run holds the lock: its process runs on this host, or it
  /// is on another host with a heartbeat younger than kStale. The lock of a dead run, or of an earlier attempt of the
  /// same SLURM job, is taken over, with a note in the log.
  RunLock(std::filesystem::path file, const ProcessId& self, std::chrono::milliseconds beat = std::chrono::seconds(10));
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  bool create() const;
  void take_over(const std::string& seen) const;
  std::string text() const;
  void refresh();

  std::filesystem::path file_;
  ProcessId self_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool end_ = false;
  std::thread heart_;
};

}  // namespace eddy::io
