// The shell scripts: they parse; quickstart refuses what it does not know, and lists what is missing where it cannot
// install.
#include <cstdlib>

#include "catch.h"
#include "support.h"

namespace fs = std::filesystem;
using eddy_test::run;

namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}
std::string quickstart() {
  return (eddy_test::source_dir() / "tools/quickstart").string();
}

/// Files of the project whose first line names bash.
std::vector<std::string> scripts() {
  std::vector<std::string> found;
  for (const char* folder : {"tools", ".ci", "jobs", "tests"})
    for (const auto& e : fs::recursive_directory_iterator(eddy_test::source_dir() / folder))
      if (e.is_regular_file() && eddy_test::read_file(e.path()).rfind("#!/bin/bash\n", 0) == 0)
        found.push_back(e.path());
  return found;
}

/// Puts a program into `dir` that does nothing but this.
void fake(const eddy_test::TempDir& dir, const std::string& name, const std::string& body) {
  eddy_test::write_file(dir / name, "#!/bin/sh\n" + body + "\n");
  fs::permissions(dir / name, fs::perms::owner_all);
}

}  // namespace

TEST_CASE("every script parses") {
  const auto found = scripts();
  CHECK(found.size() >= 5);
  for (const auto& script : found) {
    const auto result = run({"bash", "-n", script});
    INFO(script << ": " << result.err);
    CHECK(result.status == 0);
  }
}

TEST_CASE("quickstart's arguments") {
  const auto help = run({quickstart(), "--help"});
  CHECK(help.status == 0);
  CHECK(has(help.out, "tools/quickstart demo"));
  CHECK(run({quickstart()}).status == 2);
  const auto unknown = run({quickstart(), "tset"});
  CHECK(unknown.status == 2);
  CHECK(has(unknown.err, "unknown command 'tset'"));
  const auto option = run({quickstart(), "test", "--sloow"});
  CHECK(option.status == 2);
  CHECK(has(option.err, "'--sloow'"));
}

TEST_CASE("without root, quickstart lists what is missing and how clusters provide it") {
  const eddy_test::TempDir dir;
  fake(dir, "id", "echo 1000");
  fake(dir, "sudo", "exit 1");
  fake(dir, "apt-get", "echo called >> " + (dir / "apt-calls").string());
  fake(dir, "pkg-config", "exit 1");
  fake(dir, "dpkg-query", "echo not-installed");
  const std::string path = dir.path().string() + ":" + std::getenv("PATH");
  const auto result = run({"env", "PATH=" + path, quickstart(), "demo"});
  INFO(result.err);
  CHECK(result.status == 2);
  CHECK(has(result.err, "libfmt-dev"));
  CHECK(has(result.err, "pari-doc"));
  CHECK_FALSE(has(result.err, "  g++ "));  // there, though no package: the compiler that built this test
  CHECK(has(result.err, "spack install"));
  CHECK(has(result.err, "module load"));
  CHECK_FALSE(fs::exists(dir / "apt-calls"));
}
