#include "base/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

namespace eddy {
namespace {

/// Field 22 of /proc/PID/stat, counted behind the command's name, which may hold blanks. 0: no such process, or a
/// zombie.
std::uint64_t start_ticks(std::int64_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto behind_name = text.rfind(')');
  if (behind_name == std::string::npos) return 0;
  std::istringstream fields(text.substr(behind_name + 1));
  std::string field;
  for (int i = 3; i <= 22 && fields >> field; ++i)
    if (i == 3 && (field == "Z" || field == "X")) return 0;
  return std::strtoull(field.c_str(), nullptr, 10);
}

}  // namespace

ProcessId this_process() {
  ProcessId id;
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  id.host = name;
  const char* job = std::getenv("SLURM_JOB_ID");
  id.job = job ? job : "";
  id.pid = getpid();
  id.started = start_ticks(id.pid);
  return id;
}

bool runs_here(const ProcessId& process) {
  if (process.pid <= 0) return false;
  const bool exists = kill(static_cast<pid_t>(process.pid), 0) == 0 || errno == EPERM;
  if (!exists) return false;
  const std::uint64_t started = start_ticks(process.pid);
  return started != 0 && (process.started == 0 || process.started == started);
}

void report_file_size_limit() {
  signal(SIGXFSZ, SIG_IGN);
}

std::uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t total = 0, resident = 0;
  file >> total >> resident;
  return file ? resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)) : 0;
}

std::uint64_t available_bytes() {
  std::ifstream file("/proc/meminfo");
  for (std::string key, rest; file >> key && std::getline(file, rest);)
    if (key == "MemAvailable:") return std::strtoull(rest.c_str(), nullptr, 10) * 1024;  // in kB
  return 0;
}

ProgramResult run_program(const std::vector<std::string>& argv) {
  ProgramResult result{127, ""};
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return result;
  std::vector<char*> arguments;
  for (const std::string& a : argv) arguments.push_back(const_cast<char*>(a.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, ends[1], 1);
  posix_spawn_file_actions_adddup2(&files, ends[1], 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t pid = 0;
  const int failed = posix_spawnp(&pid, arguments[0], &files, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  close(ends[1]);
  if (failed == 0) {
    char part[4096];
    for (ssize_t n; (n = read(ends[0], part, sizeof part)) > 0 || (n < 0 && errno == EINTR);)
      if (n > 0 && result.output.size() < sizeof part)
        result.output.append(part, std::min(static_cast<std::size_t>(n), sizeof part - result.output.size()));
    while (!result.output.empty() && result.output.back() == '\n') result.output.pop_back();
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  close(ends[0]);
  return result;
}

}  // namespace eddy
