#include "base/log.h"

#include <unistd.h>

#include <cstdio>
#include <mutex>

#include "base/units.h"

namespace eddy::log {
namespace {
struct State {
  int rank = 0, world = 1;
  Level lowest = Level::info;
  std::FILE* file = nullptr;
  std::mutex mutex;
};
State& state() {
  static State s;
  return s;
}
}  // namespace

void configure(int rank, int world_size, Level lowest) {
  auto& s = state();
  s.rank = rank;
  s.world = world_size;
  s.lowest = lowest;
}

void also_to(const std::string& path) {
  auto& s = state();
  std::lock_guard lock(s.mutex);
  if (s.file) std::fclose(s.file);
  s.file = path.empty() ? nullptr : std::fopen(path.c_str(), "a");
}

void write(Level level, const std::string& text) {
  auto& s = state();
  if (level < s.lowest || (s.rank != 0 && level < Level::warning)) return;
  static const char* names[] = {"debug: ", "", "warning: ", "error: "};
  const std::string where = s.world > 1 && level >= Level::warning ? fmt::format("[rank {}] ", s.rank) : "";
  const std::string line = where + names[static_cast<int>(level)] + text + "\n";
  std::lock_guard lock(s.mutex);
  std::fwrite(line.data(), 1, line.size(), stderr);  // one write a line, so that ranks do not mix within one
  if (s.file) {
    std::fwrite(line.data(), 1, line.size(), s.file);
    std::fflush(s.file);
  }
}

Progress::Progress(std::string what, std::uint64_t total, std::string unit)
    : what_(std::move(what)),
      unit_(std::move(unit)),
      total_(total),
      start_(std::chrono::steady_clock::now()),
      shown_(start_),
      terminal_(isatty(2) == 1) {}

void Progress::update(std::uint64_t done, const std::string& detail) {
  done_ = done;
  detail_ = detail;
  const auto now = std::chrono::steady_clock::now();
  if (now - shown_ < (terminal_ ? std::chrono::milliseconds(200) : std::chrono::milliseconds(10000))) return;
  shown_ = now;
  show(false);
}

void Progress::show(bool last) {
  if (state().rank != 0) return;
  const double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  const double rate = s > 0 ? static_cast<double>(done_) / s : 0;
  std::string line =
      total_ ? fmt::format("{}: {}/{} {}", what_, done_, total_, unit_) : fmt::format("{}: {} {}", what_, done_, unit_);
  line += fmt::format(", {:.3g}/s", rate);
  if (!last && total_ && rate > 0)
    line += ", ETA " + duration(static_cast<double>(total_ - std::min(done_, total_)) / rate);
  if (last) line += ", " + duration(s);
  if (!detail_.empty()) line += ", " + detail_;
  if (terminal_ && !last)
    fmt::print(stderr, "\r\x1b[K{}", line);
  else
    fmt::print(stderr, "{}{}\n", terminal_ ? "\r\x1b[K" : "", line);
}

Progress::~Progress() {
  try {
    if (done_ > 0) show(true);
  } catch (...) {  // a progress line is never worth an error
  }
}

}  // namespace eddy::log
