#include "support.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace eddy_test {
namespace fs = std::filesystem;

void skip(const std::string& why) {
  std::printf("SKIPPED: %s\n", why.c_str());
  skipped = true;
}

TempDir::TempDir() {
  std::string name = (fs::temp_directory_path() / "eddy-test-XXXXXX").string();
  if (!mkdtemp(name.data())) throw std::runtime_error("mkdtemp " + name);
  path_ = name;
}
TempDir::~TempDir() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

fs::path source_dir() {
  const char* d = std::getenv("EDDY_SOURCE_DIR");
  return d ? fs::path(d) : fs::current_path();
}
fs::path material() {
  const char* d = std::getenv("EDDY_MATERIAL");
  return d ? fs::path(d) : fs::path();
}

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path.string());
  std::ostringstream s;
  s << in.rdbuf();
  return s.str();
}
void write_file(const fs::path& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!out.flush()) throw std::runtime_error("cannot write " + path.string());
}

RunResult run(std::vector<std::string> argv, int ranks, int timeout_s) {
  if (argv.at(0).find('/') == std::string::npos) {
    const char* bin = std::getenv("EDDY_BIN_DIR");
    if (bin && fs::exists(fs::path(bin) / argv[0])) argv[0] = (fs::path(bin) / argv[0]).string();
  }
  if (ranks > 0) argv.insert(argv.begin(), {"mpiexec", "-n", std::to_string(ranks)});
  TempDir dir;
  const std::string out = (dir / "out").string(), err = (dir / "err").string();
  const pid_t pid = fork();
  if (pid == 0) {
    setpgid(0, 0);
    // A test may itself run under MPI: its children must not take themselves for its ranks.
    for (const char* prefix : {"OMPI_COMM_", "PMIX_", "PMI_"})
      for (char** e = environ; *e;) {
        const std::string entry = *e;
        if (entry.rfind(prefix, 0) == 0)
          unsetenv(entry.substr(0, entry.find('=')).c_str());
        else
          ++e;
      }
    const int o = open(out.c_str(), O_WRONLY | O_CREAT, 0600), e = open(err.c_str(), O_WRONLY | O_CREAT, 0600);
    const int null = open("/dev/null", O_RDONLY);
    dup2(null, 0);
    dup2(o, 1);
    dup2(e, 2);
    std::vector<char*> args;
    for (auto& a : argv) args.push_back(a.data());
    args.push_back(nullptr);
    execvp(args[0], args.data());
    _exit(127);
  }
  int status = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(timeout_s);
  bool late = false;
  while (waitpid(pid, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > end) {
      late = true;
      kill(-pid, SIGKILL);
      waitpid(pid, &status, 0);
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const int code = late ? 124 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return {code, read_file(out), read_file(err)};
}
}  // namespace eddy_test
