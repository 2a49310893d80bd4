// An interrupted eddy-shard goes on: killed again and again it ends with the bytes of an undisturbed run, and does not
// do again what it has committed; asked to stop it says so with status 75; with other options it begins anew.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <map>
#include <thread>

#include "base/rng.h"
#include "catch.h"
#include "comm/self_communicator.h"
#include "errors.h"
#include "made_tokenizer.h"
#include "shard/build.h"
#include "shard/journal.h"
#include "support.h"
#include "synthetic_store.h"

using namespace eddy::shard;
using eddy_test::caught;
using eddy_test::TempDir;
namespace fs = std::filesystem;

namespace {
void write_inputs(const TempDir& dir, int files) {
  fs::create_directories(dir / "in");
  for (int i = 0; i < files; ++i)
    eddy_test::write_file(dir / "in" / ("d" + std::to_string(i) + ".md"),
                          eddy_test::made_words(static_cast<std::uint64_t>(i), 9000));
  eddy_test::write_file(dir / "tokenizer.json", eddy_test::tokenizer_json());
}
std::map<std::string, std::string> contents(const fs::path& dir) {
  std::map<std::string, std::string> files;
  for (const auto& e : fs::recursive_directory_iterator(dir))
    if (e.is_regular_file()) files[e.path().lexically_relative(dir).string()] = eddy_test::read_file(e.path());
  return files;
}
std::size_t committed(const fs::path& out) {
  std::size_t n = 0;
  const std::uint32_t journals = count_journals(out / ".partial");
  for (std::uint32_t j = 0; j < journals; ++j)
    read_journal(out / ".partial", j, [&](const JournalPlace&, UnitResult&&) { ++n; });
  return n;
}
/// Bytes of all journals of a build.
std::uintmax_t journal_bytes(const fs::path& out) {
  std::uintmax_t bytes = 0;
  const std::uint32_t journals = count_journals(out / ".partial");
  for (std::uint32_t j = 0; j < journals; ++j) {
    std::error_code none;
    const std::uintmax_t n = fs::file_size(journal_path(out / ".partial", j), none);
    if (!none) bytes += n;
  }
  return bytes;
}
/// Runs eddy-shard, and kills it once so many more bytes are in its journals; true when it ended well before.
bool build_until(const TempDir& dir, const fs::path& out, std::uintmax_t kill_after) {
  const char* bin = std::getenv("EDDY_BIN_DIR");
  std::vector<std::string> words{(fs::path(bin ? bin : "bin") / "eddy-shard").string(),
                                 "--input",
                                 (dir / "in").string(),
                                 "--tokenizer",
                                 (dir / "tokenizer.json").string(),
                                 "--out",
                                 out.string(),
                                 "--split.validation",
                                 "0.2",
                                 "--shard-tokens",
                                 "200000",
                                 "--commit-seconds",
                                 "0"};
  std::vector<char*> argv;
  for (std::string& w : words) argv.push_back(w.data());
  argv.push_back(nullptr);
  const std::uintmax_t before = journal_bytes(out);
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  int status = 0;
  while (::waitpid(pid, &status, WNOHANG) == 0) {
    if (kill_after != ~std::uintmax_t{0} && journal_bytes(out) > before + kill_after) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, &status, 0);
      break;
    }
    ::usleep(200);
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
}  // namespace

TEST_CASE("killed at many moments it ends as an undisturbed run") {
  const TempDir dir;
  write_inputs(dir, 60);
  const auto build = [&](const std::string& out, std::uintmax_t kill_after) {
    return build_until(dir, dir / out, kill_after);
  };
  REQUIRE(build("whole", ~std::uintmax_t{0}));
  // On a busy machine a build may end before it is killed: then it is tried once more from the beginning.
  int killed = 0;
  for (std::uint64_t round = 0; round < 5 && killed < 3; ++round) {
    fs::remove_all(dir / "out");
    std::size_t before = 0;
    for (std::uint64_t attempt = 0; attempt < 20; ++attempt) {
      const std::uintmax_t bytes = eddy::philox(round, attempt)[0] % 6000;  // a few units' entries
      if (build("out", bytes)) break;
      ++killed;
      CHECK_FALSE(fs::exists(dir / "out" / "manifest.json"));
      const std::size_t now = committed(dir / "out");
      CHECK(now >= before);
      before = now;
    }
    if (!fs::exists(dir / "out" / "manifest.json")) REQUIRE(build("out", ~std::uintmax_t{0}));
    CHECK(contents(dir / "out") == contents(dir / "whole"));
  }
  CHECK(killed >= 3);
}

TEST_CASE("asked to stop it keeps what is done; other options begin anew") {
  const TempDir dir;
  write_inputs(dir, 40);
  const auto alone = eddy::comm::self_communicator("alone");
  std::atomic<bool> stop{false};
  BuildOptions o{.inputs = {(dir / "in").string()}, .tokenizer = dir / "tokenizer.json", .out = dir / "out"};
  o.stop = &stop;
  std::thread later([&] {
    while (!fs::exists(journal_path(dir / "out" / ".partial", 0))) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    stop = true;
  });
  o.commit_seconds = 0;
  const auto c = caught([&] { build_sets(*alone, o); });
  later.join();
  CHECK(c.status == 75);
  CHECK(c.says("goes on from there"));
  const std::size_t kept = committed(o.out);
  CHECK(kept > 0);
  CHECK(kept < 40);
  stop = false;
  BuildOptions other = o;
  other.dedup.mode = "exact";
  other.out = dir / "other";
  build_sets(*alone, other);
  const auto expected = contents(dir / "other");
  other.out = o.out;  // what is kept there is of other options: it is not used
  build_sets(*alone, other);
  CHECK(contents(o.out) == expected);
}
