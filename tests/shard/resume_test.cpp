// An interrupted eddy-shard goes on: killed again and again it ends with the bytes of an undisturbed run, and does not
// do again what it has committed; asked to stop it says so with status 75; with other options it begins anew.
#include <atomic>
#include <chrono>
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
using eddy_test::run;
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
}  // namespace

TEST_CASE("killed at many moments it ends as an undisturbed run") {
  const TempDir dir;
  write_inputs(dir, 30);
  const auto command = [&](const std::string& out, const std::string& before) {
    const char* bin = std::getenv("EDDY_BIN_DIR");
    return run({"/bin/sh", "-c",
                before + (fs::path(bin ? bin : "bin") / "eddy-shard").string() + " --input " + (dir / "in").string() +
                    " --tokenizer " + (dir / "tokenizer.json").string() + " --out " + (dir / out).string() +
                    " --split.validation 0.2 --shard-tokens 200000 --commit-seconds 0"});
  };
  const auto begin = std::chrono::steady_clock::now();
  REQUIRE(command("whole", "").status == 0);
  const double whole_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  int killed = 0;
  std::size_t before = 0;
  bool done = false;
  for (std::uint64_t attempt = 0; attempt < 20 && !done; ++attempt) {
    const double kill_s = whole_s * (0.3 + 0.7 * eddy::uniform01(eddy::philox(1, attempt)[0]));
    const auto r = command("out", "timeout -s KILL " + std::to_string(kill_s) + " ");
    killed += r.status != 0;
    done = fs::exists(dir / "out" / "manifest.json");  // it may be killed behind its last write
    if (done) break;
    const std::size_t now = committed(dir / "out");
    CHECK(now >= before);
    before = now;
  }
  if (!done) REQUIRE(command("out", "").status == 0);
  INFO("killed " << killed << " times, " << before << " of 30 units committed before the last run");
  CHECK(killed > 0);
  CHECK(contents(dir / "out") == contents(dir / "whole"));
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
