// The end of a build, when names are given: killed or without power at any of its operations, the same command ends
// with the files of an undisturbed run; and a complete build is known as one.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <map>

#include "catch.h"
#include "comm/self_communicator.h"
#include "errors.h"
#include "io/faulty_file_system.h"
#include "made_tokenizer.h"
#include "shard/build.h"
#include "shard/corpus.h"
#include "shard/inspect.h"
#include "support.h"
#include "synthetic_store.h"

using namespace eddy::shard;
using eddy::io::FaultyFileSystem;
using eddy::io::FileFault;
using eddy_test::caught;
using eddy_test::TempDir;
namespace fs = std::filesystem;

namespace {
/// Hundreds of builds, each of which waits for a disk's syncs: in memory, where there is a place for it.
const bool kInMemory =
    fs::is_directory("/dev/shm") && ::access("/dev/shm", W_OK) == 0 && ::setenv("TMPDIR", "/dev/shm", 0) == 0;

std::map<std::string, std::string> contents(const fs::path& dir) {
  std::map<std::string, std::string> files;
  for (const auto& e : fs::recursive_directory_iterator(dir))
    if (e.is_regular_file()) files[e.path().lexically_relative(dir).string()] = eddy_test::read_file(e.path());
  return files;
}

void write_inputs(const TempDir& dir) {
  eddy_test::StoreMaker store;
  for (std::uint64_t i = 0; i < 6; ++i) {
    const std::string title = "On the flow of kind " + std::to_string(i);
    store.add("doi:10.1/" + std::to_string(i), title, eddy_test::made_paper(i, title));
  }
  store.write(dir / "store");
  eddy_test::write_file(dir / "tokenizer.json", eddy_test::tokenizer_json());
}
/// Two directories of shards, of several shards each, and three lists.
BuildOptions options(const TempDir& dir, const std::string& out) {
  BuildOptions o{.inputs = {(dir / "store").string()},
                 .tokenizer = dir / "tokenizer.json",
                 .out = dir / out,
                 .split = {.validation = 0.2, .test = 0.2},
                 .shard_tokens = 12000};
  o.pairs = {.kinds = {"abstract", "definition"},
             .templates = (eddy_test::source_dir() / "configs/corpus/templates.json").string()};
  o.task_field = "*";
  return o;
}
std::vector<BuiltSet> build(const BuildOptions& o) {
  return build_sets(*eddy::comm::self_communicator("alone"), o);
}

/// Builds in a process of its own that ends at this operation; false when there were fewer.
bool build_until(BuildOptions o, FileFault fault, std::uint64_t operation) {
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    const auto die = [] { ::raise(SIGKILL); };
    FaultyFileSystem::Plan plan;
    plan.kind = fault;
    plan.operation = operation;
    if (fault == FileFault::none) plan.strike = [&](const std::string&) { die(); };
    plan.die = die;
    FaultyFileSystem files(eddy::io::disk(), plan);
    files.count(true);
    o.files = &files;
    try {
      build(o);
    } catch (...) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  REQUIRE((WIFSIGNALED(status) || WEXITSTATUS(status) == 0));
  return WIFSIGNALED(status);
}
}  // namespace

TEST_CASE("killed, or without power, at any of the last operations: the same command ends as an undisturbed run") {
  INFO("in memory: " << kInMemory);
  const TempDir dir;
  write_inputs(dir);
  const auto whole = build(options(dir, "whole"));
  REQUIRE(whole.size() == 2);
  REQUIRE(whole[0].manifest.shards.size() > 3);
  const auto expected = contents(dir / "whole");
  BuildOptions earlier = options(dir, "earlier");  // one directory with more and other shards
  earlier.pairs.together = true;
  earlier.shard_tokens = 3000;
  build(earlier);
  for (const bool overwrite : {false, true}) {
    BuildOptions o = options(dir, "out");
    o.overwrite = overwrite;
    fs::remove_all(o.out);
    if (overwrite) fs::copy(earlier.out, o.out, fs::copy_options::recursive);
    REQUIRE(build_until(o, FileFault::none, 1));
    fs::remove_all(dir / "begun");
    fs::rename(o.out, dir / "begun");  // with all shards written: each of the following begins here
    for (const FileFault fault : {FileFault::none, FileFault::power_loss}) {
      std::uint64_t operation = 1;
      for (;; ++operation) {
        fs::remove_all(o.out);
        fs::copy(dir / "begun", o.out, fs::copy_options::recursive);
        if (!build_until(o, fault, operation)) break;
        INFO("fault " << static_cast<int>(fault) << ", overwrite " << overwrite << ", operation " << operation);
        CHECK(build(o).size() == 2);
        auto found = contents(o.out);
        if (overwrite) found.erase("tokenizer.json");  // the earlier build's
        CHECK(found == expected);
      }
      CHECK(operation > 25);
    }
  }
}

TEST_CASE("a complete build is known as one, and only as its own") {
  const TempDir dir;
  write_inputs(dir);
  const BuildOptions o = options(dir, "out");
  const auto first = build(o);
  const auto files = contents(o.out);
  const auto written = fs::last_write_time(o.out / "text/train-00000.h5");
  const auto again = build(o);
  REQUIRE(again.size() == 2);
  for (std::size_t s = 0; s < 2; ++s) {
    CHECK(again[s].name == first[s].name);
    CHECK(again[s].manifest.shards.size() == first[s].manifest.shards.size());
    CHECK(again[s].manifest.report == first[s].manifest.report);
  }
  CHECK(contents(o.out) == files);
  CHECK(fs::last_write_time(o.out / "text/train-00000.h5") == written);

  BuildOptions other = o;
  other.split.seed = 1;
  const auto refused = caught([&] { build(other); });
  CHECK(refused.status == 2);
  CHECK(refused.says("give --overwrite"));

  // Another build that was killed before it was prepared: neither is it taken for this one, nor is its work lost.
  fs::create_directories(o.out / ".partial/text");
  eddy_test::write_file(o.out / ".partial/run", "of another build");
  eddy_test::write_file(o.out / ".partial/journal-00000", "what it has committed");
  eddy_test::write_file(o.out / ".partial/text/train-00000.h5", "half a shard");
  build(o);
  CHECK(eddy_test::read_file(o.out / ".partial/journal-00000") == "what it has committed");
  fs::remove_all(o.out / ".partial");
  CHECK(contents(o.out) == files);

  BuildOptions anew = o;
  anew.overwrite = true;
  build(anew);
  CHECK(contents(o.out) == files);

  fs::remove(o.out / "pairs/train-00000.h5");
  const auto lacks = caught([&] { build(o); });
  CHECK(lacks.status == 2);
  CHECK(lacks.says("pairs/train-00000.h5: missing"));
  build(anew);
  CHECK(contents(o.out) == files);
}
