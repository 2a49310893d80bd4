#pragma once
// Requests to stop: SIGUSR1 (SLURM before a job's end; mpirun forwards it), SIGTERM, SIGINT, or a time that is up.
#include <signal.h>

#include <chrono>

namespace eddy {

/// Takes over the three signals while it lives: they only leave a note. One at a time.
class StopRequest {
 public:
  /// seconds > 0: asked to stop also that long after now.
  explicit StopRequest(double seconds = 0);
  ~StopRequest();
  StopRequest(const StopRequest&) = delete;
  StopRequest& operator=(const StopRequest&) = delete;
  bool asked() const;
  /// "SIGUSR1", "run.stop_after"; empty when not asked.
  const char* reason() const;

 private:
  static constexpr int kSignals[3] = {SIGUSR1, SIGTERM, SIGINT};
  struct sigaction before_[3];
  double seconds_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace eddy
