#include "extract/pdf.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <vector>

#include "base/error.h"

namespace eddy::extract {
namespace fs = std::filesystem;
namespace {

/// Becomes the program, within its limits. Between fork and exec only system calls are safe.
[[noreturn]] void become(char* const* argv, int out, const PdfLimits& limits) {
  const int null = ::open("/dev/null", O_RDWR);
  ::dup2(null, 0);
  ::dup2(out, 1);
  ::dup2(null, 2);
  const auto cpu = static_cast<rlim_t>(limits.seconds) + 1;
  const rlimit time{cpu, cpu}, core{0, 0};
  ::setrlimit(RLIMIT_CPU, &time);
  ::setrlimit(RLIMIT_CORE, &core);
#ifndef __SANITIZE_ADDRESS__  // the sanitizer reserves terabytes of address space
  const rlimit memory{limits.memory_bytes, limits.memory_bytes};
  ::setrlimit(RLIMIT_AS, &memory);
#endif
  ::execv(argv[0], argv);
  ::_exit(127);
}

enum class Ended { by_itself, too_slow, too_long };

/// Reads until the other end closes, the time is over or there is too much.
Ended read_all(int fd, const PdfLimits& limits, std::string& text) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(limits.seconds);
  std::array<char, 1 << 16> buffer;
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
    if (left <= 0) return Ended::too_slow;
    pollfd p{fd, POLLIN, 0};
    const int ready = ::poll(&p, 1, static_cast<int>(left));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return Ended::too_slow;
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Ended::by_itself;
    text.append(buffer.data(), static_cast<std::size_t>(n));
    if (text.size() > limits.text_bytes) return Ended::too_long;
  }
}

}  // namespace

fs::path pdf_program() {
  std::error_code none;
  const fs::path self = fs::read_symlink("/proc/self/exe", none);
  const fs::path program = self.parent_path() / "eddy-pdf-text";
  return !none && ::access(program.c_str(), X_OK) == 0 ? program : fs::path();
}

Outcome extract_pdf(const fs::path& file, const fs::path& program, const PdfLimits& limits, std::string* references) {
  if (program.empty())
    return Outcome::reject("PDF: this build has no eddy-pdf-text", "build Eddy where poppler-cpp is installed");
  std::string exe = program.string(), name = file.string();
  std::vector<char*> argv{exe.data(), name.data(), nullptr};
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) fail_run("cannot make a pipe to {}: {}", exe, std::strerror(errno));
  const pid_t pid = ::fork();
  if (pid < 0) fail_run("cannot start {}: {}", exe, std::strerror(errno));
  if (pid == 0) become(argv.data(), ends[1], limits);
  ::close(ends[1]);
  Outcome result;
  const Ended ended = read_all(ends[0], limits, result.text);
  ::close(ends[0]);
  if (ended != Ended::by_itself) ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (ended == Ended::too_slow)
    return Outcome::reject("PDF: takes too long", fmt::format("stopped after {:.0f} s", limits.seconds));
  if (ended == Ended::too_long) return Outcome::reject("PDF: too much text");
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    if (const std::size_t at = result.text.find(kPdfReferences); at != std::string::npos) {
      if (references) *references = result.text.substr(at + 1);
      result.text.resize(at);
    }
    return result;
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == kPdfEncrypted) return Outcome::reject("PDF: encrypted");
  if (WIFEXITED(status) && WEXITSTATUS(status) == kPdfDamaged) return Outcome::reject("PDF: damaged");
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127) fail_run("cannot run {}", exe);
  return Outcome::reject("PDF: its reader crashed", WIFSIGNALED(status)
                                                        ? fmt::format("signal {}", WTERMSIG(status))
                                                        : fmt::format("exit status {}", WEXITSTATUS(status)));
}

}  // namespace eddy::extract
