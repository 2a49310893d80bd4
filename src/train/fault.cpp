#include "train/fault.h"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <thread>

#include "base/error.h"
#include "base/log.h"

namespace eddy::train {
namespace {

/// The signal of a kind; 0: none.
int signal_of(const std::string& kind) {
  static const std::map<std::string, int> signals{{"kill", SIGKILL}, {"stop", SIGSTOP}, {"term", SIGTERM},
                                                  {"int", SIGINT},   {"usr1", SIGUSR1}, {"segv", SIGSEGV},
                                                  {"abort", SIGABRT}};
  const auto found = signals.find(kind);
  return found == signals.end() ? 0 : found->second;
}

/// What a kind is to files; none: it is a process's. (lost_node is done by the rank when the checkpoint stands.)
io::FileFault file_fault(const std::string& kind) {
  static const std::map<std::string, io::FileFault> faults{
      {"disk_full", io::FileFault::disk_full},   {"io_error", io::FileFault::io_error},
      {"slow_disk", io::FileFault::slow},        {"torn_write", io::FileFault::torn_write},
      {"bit_flip", io::FileFault::bit_flip},     {"lost_file", io::FileFault::lost_file},
      {"power_loss", io::FileFault::power_loss},
  };
  const auto found = faults.find(kind);
  return found == faults.end() ? io::FileFault::none : found->second;
}

bool of_files(const std::string& kind) {
  return kind == "lost_node" || file_fault(kind) != io::FileFault::none;
}

void wait_ms(double ms) {
  std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(ms));
}

[[noreturn]] void die() {
  kill(getpid(), SIGKILL);
  std::abort();  // never reached
}

}  // namespace

void FaultOptions::add_to(Options& o) {
  o.add("fault.kind", &kind,
        "for tests: a fault on purpose; kill, stop, term, int, usr1, segv, abort send that signal to the rank itself, "
        "exception throws, hang waits for ever; disk_full, io_error, slow_disk, torn_write, bit_flip, lost_file, "
        "lost_node, power_loss happen to the files of its checkpoints",
        {.choices = {"none", "kill", "stop", "term", "int", "usr1", "segv", "abort", "exception", "hang", "disk_full",
                     "io_error", "slow_disk", "torn_write", "bit_flip", "lost_file", "lost_node", "power_loss"}});
  o.add("fault.where", &where,
        "in a step's computation, in saving a checkpoint, in its last part, committing (manifest and name), or in "
        "deleting old ones (both rank 0 does); auto: step, and saving for the kinds of files",
        {.choices = {"auto", "step", "saving", "committing", "deleting"}});
  o.add("fault.step", &step, "the step, counted from 1, in which it happens, or the first one whose save may be hit",
        {.min = 1});
  o.add("fault.rank", &rank, "the rank to which it happens", {.min = 0});
  o.add("fault.after_ms", &after_ms, "milliseconds after the step's begin at which the signal comes", {.min = 0});
  o.add("fault.operation", &operation,
        "saving, committing, deleting: at which file operation, counted from 1 at the first save that may be hit",
        {.min = 1});
  o.add("fault.bytes", &bytes,
        "disk_full, torn_write: bytes that are still written; bit_flip: which byte of the write, modulo its size",
        {.min = 0});
  o.add("fault.delay_ms", &delay_ms, "slow_disk: milliseconds that each file operation takes more", {.min = 0});
}

void FaultOptions::validate(int ranks) const {
  if (kind == "none") return;
  if (rank >= ranks) fail_input("fault.rank = {}: the run has ranks 0 to {}", rank, ranks - 1);
  if (after_ms > 0 && (signal_of(kind) == 0 || (where != "auto" && where != "step")))
    fail_input("fault.after_ms goes with signals in a step, not with fault.kind = {}{}", kind,
               signal_of(kind) == 0 ? "" : ", fault.where = " + where);
  if ((where == "deleting" || where == "committing") && rank != 0)
    fail_input("fault.where = {}: rank 0 does that; give fault.rank = 0", where);
  if (kind == "lost_node" && where == "committing")
    fail_input("fault.kind = lost_node happens when the checkpoint stands: give fault.where = saving");
  if (of_files(kind) && where == "step")
    fail_input(
        "fault.kind = {} happens to files: give fault.where = saving{}", kind,
        kind == "io_error" || kind == "slow_disk" || kind == "power_loss" || kind == "lost_file" ? " or deleting" : "");
  if (where == "deleting" && (kind == "disk_full" || kind == "torn_write" || kind == "bit_flip" || kind == "lost_node"))
    fail_input("fault.kind = {} is of writing, and deleting does not write: give fault.where = saving", kind);
  if (operation > 1 && (kind == "lost_node" || (!of_files(kind) && (where == "auto" || where == "step"))))
    fail_input("fault.operation counts operations on files; fault.kind = {} here happens at none", kind);
}

Fault::Fault(const FaultOptions& options, int rank) : options_(options), mine_(options.rank == rank) {
  mine_ = mine_ && options_.kind != "none";
  if (options_.where == "auto") options_.where = of_files(options_.kind) ? "saving" : "step";
  if (!mine_ || options_.where == "step") return;
  io::FaultyFileSystem::Plan plan;
  plan.kind = file_fault(options_.kind);
  // lost_node only keeps account of what was written
  plan.operation = options_.kind == "lost_node" ? UINT64_MAX : static_cast<std::uint64_t>(options_.operation);
  plan.bytes = static_cast<std::uint64_t>(options_.bytes);
  plan.delay_ms = options_.delay_ms;
  plan.strike = [this](const std::string& operation) {
    struck_ = saving_;
    happen(saving_, fmt::format(", {}, {}", options_.where, operation));
  };
  plan.die = die;
  files_ = std::make_unique<io::FaultyFileSystem>(io::disk(), std::move(plan));
}

void Fault::happen(std::int64_t step, const std::string& place) const {
  log::warning("step {}: fault.kind = {} on rank {}{}", step, options_.kind, options_.rank, place);
  if (options_.kind == "exception") throw std::runtime_error("fault.kind = exception");
  if (options_.kind == "hang")
    while (true) wait_ms(1000);
  const int number = signal_of(options_.kind);
  if (number == 0) return;
  if (options_.after_ms == 0) {
    kill(getpid(), number);
    return;
  }
  std::thread([number, ms = options_.after_ms] {
    wait_ms(ms);
    kill(getpid(), number);
  }).detach();
}

void Fault::at_step(std::int64_t step) const {
  if (mine_ && options_.where == "step" && step == options_.step) happen(step, "");
}

void Fault::at_saving(std::int64_t step) {
  if (!files_) return;
  saving_ = step;
  files_->restart();
  files_->count(options_.where == "saving" && step >= options_.step);
}

void Fault::at_committing() {
  if (files_ && options_.where == "committing") files_->count(saving_ >= options_.step);
}

void Fault::at_deleting() {
  if (files_) files_->count(options_.where == "deleting" && saving_ >= options_.step);
}

void Fault::at_saved(const std::filesystem::path& checkpoint) {
  if (!files_) return;
  if (options_.kind == "lost_node" && saving_ >= options_.step) {
    happen(saving_, "");
    lose_node(checkpoint);
    die();
  }
  if (files_->struck() && struck_ == saving_ && (options_.kind == "bit_flip" || options_.kind == "lost_file")) die();
}

/// All that this rank wrote, together with the ranks that share its data file, is gone.
void Fault::lose_node(const std::filesystem::path& checkpoint) const {
  const std::filesystem::path unfinished = checkpoint.string() + ".tmp";
  for (const auto& file : files_->written()) {
    // rank 0 knows the files by their last names, the others by those they had
    const auto within = file.lexically_relative(unfinished);
    std::error_code ignored;
    std::filesystem::remove(*within.begin() == ".." ? file : checkpoint / within, ignored);
  }
}

}  // namespace eddy::train
