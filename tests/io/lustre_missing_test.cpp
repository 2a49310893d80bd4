// A machine with Lustre and without its program: a test of its own, since the warning comes once in a process.
#include <cstdlib>

#include "base/log.h"
#include "catch.h"
#include "fake_lustre.h"

using namespace eddy;
using namespace eddy_test;

TEST_CASE("a missing lfs is warned of once") {
  const TempDir dir, elsewhere;
  log::also_to((elsewhere / "log").string());
  setenv("PATH", elsewhere.path().c_str(), 1);
  for (int i = 0; i < 3; ++i) io::set_stripes(FakeLustre(), dir.path(), {8, 0});
  log::also_to("");
  const std::string said = read_file(elsewhere / "log");
  CHECK(said.find("the program lfs is not in PATH") != std::string::npos);
  CHECK(said.find("cannot be striped") == said.rfind("cannot be striped"));
}
