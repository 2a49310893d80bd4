// Files that are whole or absent, and mapped files.
#include "io/file.h"

#include <sys/resource.h>

#include <csignal>

#include "base/error.h"
#include "catch.h"
#include "support.h"

using namespace eddy::io;
namespace fs = std::filesystem;

namespace {
/// The largest file this process may write, for one scope; writing more fails as a full disk does.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit now{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &now);
  }
  ~FileSizeLimit() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};
}  // namespace

TEST_CASE("a file is replaced at once") {
  eddy_test::TempDir dir;
  write_file(dir / "a", "old");
  {
    AtomicFile file(dir / "a");
    file.write("ne");
    file.write("w");
    CHECK(file.size() == 3);
    CHECK(read_file(dir / "a") == "old");
    file.commit();
  }
  CHECK(read_file(dir / "a") == "new");
  CHECK_FALSE(fs::exists(dir / "a.partial"));
}

TEST_CASE("a file that was not committed leaves nothing") {
  eddy_test::TempDir dir;
  {
    AtomicFile file(dir / "a");
    file.write("half");
    CHECK(fs::exists(dir / "a.partial"));
  }
  CHECK(fs::is_empty(dir.path()));
}

TEST_CASE("a full disk is an error, and the old content stays") {
  eddy_test::TempDir dir;
  write_file(dir / "a", "old");
  {
    const FileSizeLimit limit(1000);
    CHECK_THROWS_AS(write_file(dir / "a", std::string(5000, 'x')), eddy::Error);
  }
  CHECK(read_file(dir / "a") == "old");
  CHECK_FALSE(fs::exists(dir / "a.partial"));
}

TEST_CASE("mapped files show their bytes, and can be empty") {
  eddy_test::TempDir dir;
  write_file(dir / "a", std::string("a\0b", 3));
  write_file(dir / "empty", "");
  MappedFile a(dir / "a");
  CHECK(a.text() == std::string_view("a\0b", 3));
  const MappedFile moved = std::move(a);
  CHECK(moved.bytes().size() == 3);
  CHECK(MappedFile(dir / "empty").text().empty());
}

TEST_CASE("what cannot be read or written is named") {
  eddy_test::TempDir dir;
  const auto message = [](auto body) -> std::string {
    try {
      body();
    } catch (const eddy::Error& e) {
      return std::to_string(static_cast<int>(e.status())) + " " + e.what();
    }
    return "nothing thrown";
  };
  CHECK(message([&] { read_file(dir / "none"); }) ==
        "2 cannot read " + (dir / "none").string() + ": No such file or directory");
  CHECK(message([&] { MappedFile(dir / "none"); }) ==
        "2 cannot read " + (dir / "none").string() + ": No such file or directory");
  CHECK(message([&] { MappedFile(dir.path()); }) == "2 cannot read " + dir.path().string() + ": it is a folder");
  CHECK(message([&] {
          write_file(dir / "no" / "file", "x");
        }).rfind("1 cannot write " + (dir / "no" / "file").string(), 0) == 0);
}
