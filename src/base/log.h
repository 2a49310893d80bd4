#pragma once
// Human text on stderr: rank 0 speaks, other ranks only warn and fail. Results belong on stdout, not here.
#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <string>

namespace eddy::log {

enum class Level { debug, info, warning, error };

/// Sets this process's rank (shown in warnings and errors when the world has more than one) and the lowest level shown.
void configure(int rank, int world_size, Level lowest = Level::info);
/// Also appends every line to this file (empty: none).
void also_to(const std::string& path);
void write(Level level, const std::string& text);

template <class... A>
void debug(fmt::format_string<A...> f, A&&... a) {
  write(Level::debug, fmt::format(f, std::forward<A>(a)...));
}
template <class... A>
void info(fmt::format_string<A...> f, A&&... a) {
  write(Level::info, fmt::format(f, std::forward<A>(a)...));
}
template <class... A>
void warning(fmt::format_string<A...> f, A&&... a) {
  write(Level::warning, fmt::format(f, std::forward<A>(a)...));
}
template <class... A>
void error(fmt::format_string<A...> f, A&&... a) {
  write(Level::error, fmt::format(f, std::forward<A>(a)...));
}

/// Progress of long work: a bar with rate and ETA on a terminal, a plain line now and then in a log file. Rank 0 only.
class Progress {
 public:
  /// total 0: unknown. unit e.g. "documents".
  Progress(std::string what, std::uint64_t total, std::string unit);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// Sets how much is done; `detail` is appended to the line.
  void update(std::uint64_t done, const std::string& detail = "");

 private:
  void show(bool last);
  std::string what_, unit_, detail_;
  std::uint64_t total_, done_ = 0;
  std::chrono::steady_clock::time_point start_, shown_;
  bool terminal_;
};

}  // namespace eddy::log
