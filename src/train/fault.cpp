#include "train/fault.h"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <thread>

#include "base/error.h"
#include "base/log.h"

namespace eddy::train {
namespace {

/// The signal of a kind; 0: none.
int signal_of(const std::string& kind) {
  if (kind == "kill") return SIGKILL;
  if (kind == "stop") return SIGSTOP;
  if (kind == "term") return SIGTERM;
  if (kind == "int") return SIGINT;
  if (kind == "usr1") return SIGUSR1;
  if (kind == "segv") return SIGSEGV;
  if (kind == "abort") return SIGABRT;
  return 0;
}

void wait_ms(double ms) {
  std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(ms));
}

}  // namespace

void FaultOptions::add_to(Options& o) {
  o.add("fault.kind", &kind,
        "for tests: a fault on purpose; kill, stop, term, int, usr1, segv, abort send that signal to the rank itself, "
        "exception throws, hang waits for ever",
        {.choices = {"none", "kill", "stop", "term", "int", "usr1", "segv", "abort", "exception", "hang"}});
  o.add("fault.step", &step, "the step, counted from 1, in which the fault happens", {.min = 1});
  o.add("fault.rank", &rank, "the rank to which it happens", {.min = 0});
  o.add("fault.after_ms", &after_ms, "milliseconds after the step's begin at which the signal comes", {.min = 0});
}

void FaultOptions::validate(int ranks) const {
  if (kind == "none") return;
  if (rank >= ranks) fail_input("fault.rank = {}: the run has ranks 0 to {}", rank, ranks - 1);
  if (after_ms > 0 && signal_of(kind) == 0)
    fail_input("fault.after_ms goes with the kinds that are signals, not with fault.kind = {}", kind);
}

void Fault::at_step(std::int64_t step) const {
  if (!mine_ || options_.kind == "none" || step != options_.step) return;
  log::warning("step {}: fault.kind = {} on rank {}", step, options_.kind, options_.rank);
  if (options_.kind == "exception") throw std::runtime_error("fault.kind = exception");
  if (options_.kind == "hang")
    while (true) wait_ms(1000);
  const int number = signal_of(options_.kind);
  if (options_.after_ms == 0) {
    kill(getpid(), number);
    return;
  }
  std::thread([number, ms = options_.after_ms] {
    wait_ms(ms);
    kill(getpid(), number);
  }).detach();
}

}  // namespace eddy::train
