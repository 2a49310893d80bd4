#include "io/run_lock.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "catch.h"
#include "support.h"

using namespace eddy;
using io::RunLock;

namespace {
double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}
/// A lock as another process would leave it.
void plant(const std::filesystem::path& file, const ProcessId& holder, double heartbeat) {
  eddy_test::write_file(file, nlohmann::json{{"host", holder.host},
                                             {"job", holder.job},
                                             {"pid", holder.pid},
                                             {"started", holder.started},
                                             {"heartbeat", heartbeat}}
                                  .dump());
}
nlohmann::json content(const std::filesystem::path& file) {
  return nlohmann::json::parse(eddy_test::read_file(file));
}
std::string refusal(const std::filesystem::path& file, const ProcessId& self) {
  try {
    const RunLock lock(file, self);
  } catch (const Error& e) {
    CHECK(e.status() == Exit::unusable);
    return e.what();
  }
  return "";
}
}  // namespace

TEST_CASE("a lock names its holder, beats, and goes with it") {
  const eddy_test::TempDir dir;
  const auto file = dir / "lock";
  ProcessId self = this_process();
  self.job = "77";
  {
    const RunLock lock(file, self, std::chrono::milliseconds(20));
    const auto first = content(file);
    CHECK(first.at("host") == self.host);
    CHECK(first.at("job") == "77");
    CHECK(first.at("pid") == self.pid);
    for (int i = 0; i < 200 && content(file).at("heartbeat") == first.at("heartbeat"); ++i) usleep(5000);
    CHECK(content(file).at("heartbeat").get<double>() > first.at("heartbeat").get<double>());
    CHECK(refusal(file, self).find(dir.path().string()) != std::string::npos);
  }
  CHECK(!std::filesystem::exists(file));
}

TEST_CASE("another host's lock holds while its heartbeat is young") {
  const eddy_test::TempDir dir;
  const auto file = dir / "lock";
  const ProcessId other{"elsewhere", "12", 1, 5};
  plant(file, other, now() - 20);
  const auto message = refusal(file, this_process());
  CHECK(message.find("elsewhere") != std::string::npos);
  CHECK(message.find("job 12") != std::string::npos);
  CHECK(content(file).at("host") == "elsewhere");
  plant(file, other, now() - 61);
  {
    const RunLock lock(file, this_process());
    CHECK(content(file).at("pid") == getpid());
  }
  plant(file, other, now() - 1);
  ProcessId requeued = this_process();
  requeued.job = "12";
  CHECK(refusal(file, requeued).empty());  // the same SLURM job, started again
}

TEST_CASE("on one host it counts whether the process still runs") {
  const eddy_test::TempDir dir;
  const auto file = dir / "lock";
  const pid_t child = fork();
  if (child == 0) {
    for (;;) pause();
  }
  ProcessId other = this_process();
  other.pid = child;
  other.started = 0;
  plant(file, other, now() - 3600);  // stopped perhaps, but there
  CHECK(refusal(file, this_process()).find(std::to_string(child)) != std::string::npos);
  other.started = 1;  // its number was another process's
  plant(file, other, now());
  CHECK(refusal(file, this_process()).empty());
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  other.started = 0;
  plant(file, other, now());
  CHECK(refusal(file, this_process()).empty());
}

TEST_CASE("a lock that holds nothing yet is young, later it is dead") {
  const eddy_test::TempDir dir;
  const auto file = dir / "lock";
  eddy_test::write_file(file, "");
  CHECK(!refusal(file, this_process()).empty());
  std::filesystem::last_write_time(file, std::filesystem::file_time_type::clock::now() - std::chrono::seconds(90));
  CHECK(refusal(file, this_process()).empty());
}

TEST_CASE("what is no lock at all is refused or outlived, and never waited for") {
  const eddy_test::TempDir dir;
  for (const char* text : {R"({"host": 5, "pid": "x"})", "[1]", "words"}) {
    const auto file = dir / "lock";
    eddy_test::write_file(file, text);
    CHECK(refusal(file, this_process()).find(file.string()) != std::string::npos);
    std::filesystem::last_write_time(file, std::filesystem::file_time_type::clock::now() - std::chrono::seconds(90));
    CHECK(refusal(file, this_process()).empty());
  }
  std::filesystem::create_directory(dir / "folder");
  CHECK(refusal(dir / "folder", this_process()).find("it is none") != std::string::npos);
}
