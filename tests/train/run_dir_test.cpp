#include "train/run_dir.h"

#include "base/error.h"
#include "catch.h"
#include "checkpoint/checkpoint.h"
#include "comm/self_communicator.h"
#include "support.h"

using namespace eddy;
using train::RunDir;

namespace {
void add_checkpoint(const RunDir& dir, std::int64_t step) {
  const auto world = comm::self_communicator("world");
  checkpoint::save(*world, dir.checkpoint(step), {{"step", step}}, {});
}
std::string refusal(const RunDir& dir, const std::string& resume) {
  try {
    dir.find_resume(resume);
  } catch (const Error& e) {
    CHECK(e.status() == Exit::unusable);
    return e.what();
  }
  return "";
}
}  // namespace

TEST_CASE("a fresh folder starts from the beginning") {
  const eddy_test::TempDir temp;
  const RunDir dir{temp / "run"};
  CHECK(!dir.find_resume("auto"));
  CHECK(!dir.find_resume("never"));
  dir.create();
  CHECK(!dir.find_resume("auto"));
  CHECK(refusal(dir, (temp / "nothing").string()).find("nothing") != std::string::npos);
}

TEST_CASE("checkpoints are gone on from, and never run into") {
  const eddy_test::TempDir temp;
  const RunDir dir{temp / "run"}, other{temp / "other"};
  dir.create();
  other.create();
  add_checkpoint(dir, 5);
  add_checkpoint(dir, 10);
  CHECK(dir.find_resume("auto")->filename() == "step-00000010");
  CHECK(dir.find_resume(dir.checkpoint(10).string()));
  CHECK(refusal(dir, "never").find("step-00000010") != std::string::npos);
  CHECK(refusal(dir, dir.checkpoint(5).string()).find("step-00000010") != std::string::npos);
  CHECK(other.find_resume(dir.checkpoint(5).string())->filename() == "step-00000005");
}

TEST_CASE("a checkpoint whose manifest is lost is named, older or newer, and never begun over") {
  const eddy_test::TempDir temp;
  const RunDir dir{temp / "run"};
  dir.create();
  add_checkpoint(dir, 5);
  add_checkpoint(dir, 10);
  add_checkpoint(dir, 15);
  std::filesystem::remove(dir.checkpoint(5) / "manifest.json");
  std::filesystem::remove(dir.checkpoint(15) / "manifest.json");
  const auto choice = dir.choose_resume("auto");
  CHECK(choice.from == dir.checkpoint(10));
  REQUIRE(choice.damaged.size() == 2);
  CHECK(choice.damaged[0].first == dir.checkpoint(15));
  CHECK(choice.damaged[1].first == dir.checkpoint(5));
  CHECK(choice.damaged[0].second.find("step-00000015/manifest.json is missing") != std::string::npos);
  std::filesystem::remove(dir.checkpoint(10) / "manifest.json");
  try {
    dir.choose_resume("auto");
    FAIL("was not refused");
  } catch (const Error& e) {
    CHECK(e.status() == Exit::unusable);
    CHECK(std::string(e.what()).find("step-00000015/manifest.json") != std::string::npos);
  }
}

TEST_CASE("what an earlier attempt left is set aside") {
  const eddy_test::TempDir temp;
  const RunDir dir{temp / "run"};
  dir.create();
  dir.begin(0, "a = 1\n", "first");
  CHECK(eddy_test::read_file(dir.config()) == "a = 1\n");
  eddy_test::write_file(dir.metrics(), "{\"step\":1}\n{\"step\":2}\n");
  dir.begin(1, "a = 2\n", "second");
  CHECK(eddy_test::read_file(dir.config()) == "a = 2\n");
  CHECK(eddy_test::read_file(dir.metrics()) == "{\"step\":1}\n");
  CHECK(eddy_test::read_file(dir.log() / "config-before-second.ini") == "a = 1\n");
  CHECK(eddy_test::read_file(dir.log() / "metrics-after-00000001-second.jsonl") == "{\"step\":2}\n");
}

TEST_CASE("a folder that cannot be made is named") {
  const eddy_test::TempDir temp;
  eddy_test::write_file(temp / "file", "");
  CHECK_THROWS_AS(RunDir{temp / "file"}.create(), Error);
}
