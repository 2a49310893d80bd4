#pragma once
// Who this process is, as lock files name it; and other programs, run and waited for.
#include <cstdint>
#include <string>
#include <vector>

namespace eddy {

struct ProcessId {
  std::string host;
  std::string job;  ///< SLURM_JOB_ID, or empty
  std::int64_t pid = 0;
  std::uint64_t started = 0;  ///< clock ticks from boot to its start: tells it from a later process with the same pid
};
ProcessId this_process();
/// Does this very process run now on this host (its `host` must be ours)? `started` 0 is not compared.
bool runs_here(const ProcessId& process);
/// From now on a file that grows beyond the user's limit (ulimit -f) is an error on writing, not the end by SIGXFSZ.
void report_file_size_limit();
/// Resident memory of this process in bytes; 0 where /proc does not tell.
std::uint64_t resident_bytes();
/// Memory this host can still give to programs, in bytes; 0 where /proc does not tell.
std::uint64_t available_bytes();

/// How a program ended and what it said.
struct ProgramResult {
  int status = 0;      ///< its exit status; 127: there is no such program; 128 + n: ended by signal n
  std::string output;  ///< standard output and error, the first 4 KiB, without the last line's end
};
/// Runs a program (found in PATH, no shell) and waits for its end. Its process is spawned, not forked: MPI's memory
/// bears that.
ProgramResult run_program(const std::vector<std::string>& argv);

}  // namespace eddy
