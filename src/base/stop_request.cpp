#include "base/stop_request.h"

#include <atomic>

namespace eddy {
namespace {

/// A handler can reach nothing but a static object.
std::atomic<int>& received() {
  static std::atomic<int> signal_number{0};
  return signal_number;
}
static_assert(std::atomic<int>::is_always_lock_free, "signal handlers need it");

void note(int signal_number) {
  received().store(signal_number);
}

}  // namespace

StopRequest::StopRequest(double seconds) : seconds_(seconds), start_(std::chrono::steady_clock::now()) {
  received().store(0);  // also constructs the static object before a handler needs it
  struct sigaction action {};
  action.sa_handler = note;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (int i = 0; i < 3; ++i) sigaction(kSignals[i], &action, &before_[i]);
}

StopRequest::~StopRequest() {
  for (int i = 0; i < 3; ++i) sigaction(kSignals[i], &before_[i], nullptr);
}

bool StopRequest::asked() const {
  return *reason() != 0;
}

const char* StopRequest::reason() const {
  switch (received().load()) {
    case SIGUSR1:
      return "SIGUSR1";
    case SIGTERM:
      return "SIGTERM";
    case SIGINT:
      return "SIGINT";
    default:
      break;
  }
  const double age = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  return seconds_ > 0 && age >= seconds_ ? "run.stop_after" : "";
}

}  // namespace eddy
