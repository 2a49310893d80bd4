// eddy-convert killed (SIGKILL) while it writes a folder: the same command goes on with the files that are complete,
// and the bytes of all files are those of an undisturbed run.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "made_model.h"

using namespace eddy_test;
namespace fs = std::filesystem;

namespace {

/// The files of `out`.tmp that are complete, and when they were written.
std::map<std::string, fs::file_time_type> complete(const fs::path& unfinished) {
  std::map<std::string, fs::file_time_type> found;
  std::error_code gone;  // it gets its name at the end
  for (fs::directory_iterator it(unfinished, gone), end; !gone && it != end; it.increment(gone))
    if (const fs::path weights = it->path().parent_path() / it->path().stem(); it->path().extension() == ".done")
      if (const auto time = fs::last_write_time(weights, gone); !gone) found[weights.filename()] = time;
  return found;
}

/// Starts eddy-convert and kills it when `more` files have been completed since; its status, or -1 when it was killed.
int kill_after(std::vector<std::string> arguments, const fs::path& unfinished, std::size_t more) {
  const std::size_t before = complete(unfinished).size();
  const std::string program = std::string(std::getenv("EDDY_BIN_DIR")) + "/eddy-convert";
  std::vector<char*> argv{const_cast<char*>(program.c_str())};
  for (auto& a : arguments) argv.push_back(a.data());
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid == 0) {
    const int null = open("/dev/null", O_RDWR);
    dup2(null, 2);
    execv(program.c_str(), argv.data());
    _exit(127);
  }
  int status = 0;
  for (;;) {
    if (waitpid(pid, &status, WNOHANG) == pid) return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    if (complete(unfinished).size() >= before + more) break;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  kill(pid, SIGKILL);
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::map<std::string, std::string> files_of(const fs::path& folder) {
  std::map<std::string, std::string> out;
  for (const auto& entry : fs::directory_iterator(folder)) out[entry.path().filename()] = read_file(entry.path());
  return out;
}

/// Kills the command again and again until it has ended by itself.
void killed(const std::vector<std::string>& arguments, const fs::path& out, const fs::path& undisturbed) {
  std::vector<std::string> all = arguments, straight = arguments;
  all.insert(all.end(), {"--out", out, "--threads", "1"});
  straight.insert(straight.end(), {"--out", undisturbed, "--threads", "1"});
  REQUIRE(converts(straight) == "");
  const fs::path unfinished = out.string() + ".tmp";
  int kills = 0, status = -1;
  std::size_t again = 0;
  while (status == -1) {
    const auto before = complete(unfinished);
    status = kill_after(all, unfinished, 3 + static_cast<std::size_t>(kills));
    if (status == -1) {
      ++kills;
      CHECK_FALSE(fs::exists(out));
      const auto after = complete(unfinished);
      CHECK(after.size() > before.size());
      for (const auto& [name, time] : before) again += after.at(name) != time;
    } else {
      for (const auto& [name, time] : before) again += fs::last_write_time(out / name) != time;
    }
  }
  CHECK(status == 0);
  CHECK(kills >= 2);
  CHECK(again == 0);  // what was complete was not written again
  CHECK_FALSE(fs::exists(unfinished));
  CHECK(files_of(out) == files_of(undisturbed));
}

}  // namespace

TEST_CASE("a killed cast and a killed to-hf go on where they were") {
  const TempDir dir;
  make_model(dir / "fp8", {.layers = 4, .experts = 16, .files = 30});
  killed({"cast", "--in", dir / "fp8", "--dtype", "bf16"}, dir / "b", dir / "b-straight");
  killed({"cast", "--in", dir / "b", "--dtype", "fp8"}, dir / "f", dir / "f-straight");
  CHECK(tensors(dir / "f") == tensors(dir / "fp8"));
  REQUIRE(converts({"from-hf", "--in", dir / "fp8", "--out", dir / "c"}) == "");
  killed({"to-hf", "--in", dir / "c", "--dtype", "bf16"}, dir / "h", dir / "h-straight");
}
