#pragma once
// Errors and exit statuses. Host code throws; `run_main` (main.h) turns what reaches main into a message and a status.
#include <fmt/format.h>

#include <stdexcept>
#include <string>

namespace eddy {

/// What a program's exit status means (docs: every program keeps to these).
enum class Exit : int {
  done = 0,
  failed = 1,    ///< failed while running
  unusable = 2,  ///< unusable arguments or input
  stopped = 75,  ///< EX_TEMPFAIL: stopped on request with its state saved, to be run again
};

/// An error a person reads: what is wrong, where (file, dataset, tensor, rank), and what to do.
class Error : public std::runtime_error {
 public:
  Error(Exit status, const std::string& what) : std::runtime_error(what), status_(status) {}
  Exit status() const { return status_; }

 private:
  Exit status_;
};

/// Throws an Error with status 2: the arguments or the input cannot be used.
template <class... A>
[[noreturn]] void fail_input(fmt::format_string<A...> format, A&&... args) {
  throw Error(Exit::unusable, fmt::format(format, std::forward<A>(args)...));
}
/// Throws an Error with status 1: something failed while running.
template <class... A>
[[noreturn]] void fail_run(fmt::format_string<A...> format, A&&... args) {
  throw Error(Exit::failed, fmt::format(format, std::forward<A>(args)...));
}

}  // namespace eddy
