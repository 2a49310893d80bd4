// Stripes on Lustre, by an `lfs` that only keeps account.
#include "io/lustre.h"

#include "base/log.h"
#include "catch.h"
#include "fake_lustre.h"
#include "support.h"

using namespace eddy;
using namespace eddy_test;

TEST_CASE("lfs is asked for the stripes that were given, on Lustre only") {
  const TempDir dir;
  const std::string folder = dir.path().string();
  const FakeLfs lfs;
  const FakeLustre lustre, other(0xEF53);
  io::set_stripes(other, folder, {4, 1 << 20});
  io::set_stripes(io::disk(), folder, {4, 1 << 20});
  io::set_stripes(lustre, folder, {});
  CHECK(lfs.calls() == "");
  io::set_stripes(lustre, folder, {4, 1 << 20});
  io::set_stripes(lustre, folder, {-1, 0});
  io::set_stripes(lustre, folder, {0, 65536});
  CHECK(lfs.calls() == "setstripe -c 4 -S 1048576 " + folder + "\nsetstripe -c -1 " + folder + "\nsetstripe -S 65536 " +
                           folder + "\n");
  CHECK(io::disk().type(folder) != 0);
  CHECK(io::disk().type(dir / "none") == 0);
}

TEST_CASE("an lfs that fails is warned of once") {
  const TempDir dir, elsewhere;
  log::also_to((elsewhere / "log").string());
  const FakeLfs lfs("echo setstripe: stripe count out of range >&2; exit 34");
  for (int i = 0; i < 3; ++i) io::set_stripes(FakeLustre(), dir.path(), {3000, 0});
  log::also_to("");
  const std::string said = read_file(elsewhere / "log");
  CHECK(said.find("setstripe -c 3000") != std::string::npos);
  CHECK(said.find("ended with 34: setstripe: stripe count out of range") != std::string::npos);
  CHECK(said.find("cannot be striped") == said.rfind("cannot be striped"));
}
