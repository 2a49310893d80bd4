// Each fault does what it says, at the operation it is told to.
#include "io/faulty_file_system.h"

#include <chrono>

#include "base/error.h"
#include "catch.h"
#include "io/folder.h"
#include "refusal.h"
#include "support.h"

using namespace eddy;
using namespace eddy_test;
namespace fs = std::filesystem;
using io::FaultyFileSystem;
using io::FileFault;

namespace {

const std::string kText = "0123456789";

struct Struck {
  std::string operation;
  FaultyFileSystem files;
  explicit Struck(FileFault kind, std::uint64_t operation_number, std::uint64_t bytes = 0)
      : files(io::disk(), {kind, operation_number, bytes, 20, [this](const std::string& what) { operation = what; },
                           [] { fail_run("died"); }}) {
    files.count(true);
  }
  std::string write(const fs::path& path) {  // operations: open, reserve, write, sync, close
    try {
      io::write_synced(files, path, kText);
      return "";
    } catch (const Error& e) {
      return e.what();
    }
  }
};

}  // namespace

TEST_CASE("operations count only when they are told to, and one fails") {
  const TempDir dir;
  Struck s(FileFault::io_error, 4);
  s.files.count(false);
  CHECK(s.write(dir / "a") == "");
  s.files.count(true);
  CHECK(lacks(s.write(dir / "b"), {"sync", "/b", "Input/output error"}) == "");
  CHECK(lacks(s.operation, {"operation 4", "sync", "/b"}) == "");
  CHECK(s.files.struck());
  CHECK(s.write(dir / "c") == "");
  Struck removal(FileFault::io_error, 1);
  CHECK(lacks(refusal([&] { removal.files.remove(dir / "a"); }, Exit::failed), {"remove", "/a"}) == "");
  CHECK(fs::exists(dir / "a"));
}

TEST_CASE("a full disk takes what it has room for, and nothing ever after; removing works") {
  const TempDir dir;
  Struck s(FileFault::disk_full, 3, 4);
  CHECK(lacks(s.write(dir / "a"), {"/a", "No space left"}) == "");
  CHECK(read_file(dir / "a") == "0123");
  CHECK(lacks(s.write(dir / "b"), {"/b", "No space left"}) == "");
  CHECK(lacks(refusal([&] { s.files.make_folder(dir / "d"); }, Exit::failed), {"/d", "No space left"}) == "");
  s.files.remove(dir / "a");
  CHECK(!fs::exists(dir / "a"));
}

TEST_CASE("a torn write, a flipped bit, a lost file") {
  const TempDir dir;
  Struck torn(FileFault::torn_write, 1, 7);
  CHECK(torn.write(dir / "torn") == "died");
  CHECK(read_file(dir / "torn") == "0123456");
  Struck flipped(FileFault::bit_flip, 1, 13);  // byte 3 of 10, bit 3
  CHECK(flipped.write(dir / "flipped") == "");
  CHECK(read_file(dir / "flipped") == "012;456789");
  CHECK(flipped.write(dir / "once") == "");
  CHECK(read_file(dir / "once") == kText);
  Struck lost(FileFault::lost_file, 10);
  CHECK(lost.write(dir / "one") == "");
  CHECK(!lost.files.struck());
  lost.files.rename(dir / "one", dir / "two");
  CHECK(lost.write(dir / "three") == "");
  CHECK(lost.files.struck());
  CHECK(fs::exists(dir / "two") != fs::exists(dir / "three"));
}

TEST_CASE("names of written files follow their folders") {
  const TempDir dir;
  Struck s(FileFault::none, UINT64_MAX);
  s.files.make_folder(dir / "f.tmp");
  CHECK(s.write(dir / "f.tmp" / "x") == "");
  s.files.rename(dir / "f.tmp", dir / "f");
  CHECK(s.files.written() == std::vector<fs::path>{dir / "f" / "x"});
  s.files.restart();
  CHECK(s.files.written().empty());
}

TEST_CASE("a slow disk is slow from then on") {
  const TempDir dir;
  Struck s(FileFault::slow, 2);
  const auto begin = std::chrono::steady_clock::now();
  CHECK(s.write(dir / "a") == "");  // four of its operations
  CHECK(std::chrono::steady_clock::now() - begin >= std::chrono::milliseconds(80));
}

TEST_CASE("with the power goes what was not synced: bytes, names, renames") {
  const TempDir dir;
  fs::create_directory(dir / "d");
  write_file(dir / "d" / "old", "abcdefghij");
  const auto lose = [&](Struck& s) { return refusal([&] { s.files.remove(dir / "none"); }, Exit::failed); };
  {
    Struck s(FileFault::power_loss, 5);
    const auto file = s.files.open(dir / "d" / "old");
    file->write_at("XY", 2, 1);
    file->sync();
    file->write_at("Z", 1, 4);
    CHECK(lose(s) == "died");
    CHECK(read_file(dir / "d" / "old") == "aXYdefghij");
  }
  {
    Struck s(FileFault::power_loss, 6);
    CHECK(s.write(dir / "d" / "new") == "");  // synced, its name is not
    CHECK(lose(s) == "died");
    CHECK(!fs::exists(dir / "d" / "new"));
  }
  {
    Struck s(FileFault::power_loss, 7);
    CHECK(s.write(dir / "d" / "new") == "");
    s.files.sync_folder(dir / "d");
    CHECK(lose(s) == "died");
    CHECK(read_file(dir / "d" / "new") == kText);
  }
  {
    Struck s(FileFault::power_loss, 2);
    s.files.rename(dir / "d", dir / "e");
    CHECK(lose(s) == "died");
    CHECK(fs::exists(dir / "d" / "new"));
  }
  Struck s(FileFault::power_loss, 3);
  io::rename_durably(s.files, dir / "d", dir / "e");
  CHECK(lose(s) == "died");
  CHECK(fs::exists(dir / "e" / "new"));
}

TEST_CASE("what strikes may throw: the operation's failure") {
  const TempDir dir;
  FaultyFileSystem files(io::disk(), {FileFault::none, 1, 0, 0, [](const std::string&) { fail_run("struck"); }, {}});
  files.count(true);
  CHECK(refusal([&] { files.open(dir / "a"); }, Exit::failed) == "struck");
  CHECK(!fs::exists(dir / "a"));
  CHECK_NOTHROW(files.open(dir / "a"));
}

TEST_CASE("a replaced folder that cannot be removed does not make its replacement a failure") {
  const TempDir dir;
  for (const char* name : {"new", "old"}) {
    fs::create_directory(dir / name);
    write_file(dir / name / "f", name);
  }
  Struck s(FileFault::io_error, 3);  // exchange, sync of the folder above, then the removals
  io::commit_folder(s.files, dir / "new", dir / "old");
  CHECK(lacks(s.operation, {"remove", "new/f"}) == "");
  CHECK(read_file(dir / "old/f") == "new");
  CHECK(read_file(dir / "new/f") == "old");  // left, and said so
}

TEST_CASE("a file that has lost its name is not one of those that can be lost") {
  const TempDir dir;
  Struck s(FileFault::lost_file, 1000);
  const auto file = s.files.open(dir / "a");
  s.files.remove(dir / "a");
  file->close();
  CHECK(s.files.written().empty());
  CHECK(s.write(dir / "b") == "");
  CHECK(s.files.written().size() == 1);
}
