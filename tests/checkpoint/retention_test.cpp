// Which checkpoints there are, and which go.
#include "blocks.h"
#include "catch.h"
#include "checkpoint/checkpoint.h"
#include "comm/self_communicator.h"
#include "support.h"

using namespace eddy;
using namespace eddy_test;
namespace fs = std::filesystem;

namespace {

void save(const fs::path& path) {
  const auto world = comm::self_communicator("world");
  Block a = make_block("a", Dtype::f32, {2}, {0}, {2});
  fill(a);
  checkpoint::save(*world, path, {}, {a.slice});
}

std::vector<std::string> names(const fs::path& dir) {
  std::vector<std::string> out;
  for (const auto& path : checkpoint::list(dir)) out.push_back(path.filename().string());
  return out;
}

}  // namespace

TEST_CASE("complete checkpoints, by step; the newest are kept, leftovers go") {
  const TempDir dir;
  CHECK(checkpoint::list(dir / "none").empty());
  for (const char* name : {"step-00000010", "step-00000009", "step-100000000", "step-00000011"}) save(dir / name);
  save(dir / "best");
  fs::create_directory(dir / "step-00000012.tmp");
  write_file(dir / "step-00000012.tmp" / "data.h5", "half");
  fs::create_directory(dir / "step-00000013");  // no manifest
  fs::create_directory(dir / "step-12x");
  using Names = std::vector<std::string>;
  CHECK(names(dir.path()) == Names{"step-00000009", "step-00000010", "step-00000011", "step-100000000"});
  checkpoint::prune(dir.path(), 2);
  CHECK(names(dir.path()) == Names{"step-00000011", "step-100000000"});
  CHECK(fs::exists(dir / "best"));
  CHECK_FALSE(fs::exists(dir / "step-00000012.tmp"));
  CHECK_FALSE(fs::exists(dir / "step-00000009.tmp"));
  checkpoint::prune(dir.path(), 0);  // the newest always stays
  CHECK(names(dir.path()) == Names{"step-100000000"});
}

TEST_CASE("every Nth stays besides the newest, and one that is known to be whole") {
  const TempDir dir;
  for (int step = 1; step <= 9; ++step) save(dir / ("step-0000000" + std::to_string(step)));
  using Names = std::vector<std::string>;
  checkpoint::prune(dir.path(), {2, 4, dir / "step-00000003"});
  CHECK(names(dir.path()) == Names{"step-00000003", "step-00000004", "step-00000008", "step-00000009"});
  checkpoint::prune(dir.path(), {1, 0, dir / "step-00000004"});
  CHECK(names(dir.path()) == Names{"step-00000004", "step-00000009"});
  CHECK(checkpoint::set_aside(dir / "step-00000009") == dir / "step-00000009.damaged");
  CHECK(names(dir.path()) == Names{"step-00000004"});
  checkpoint::prune(dir.path(), {1, 0, {}});
  CHECK(fs::exists(dir / "step-00000009.damaged"));
}
