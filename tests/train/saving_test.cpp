// eddy-train's checkpoints from outside: written while it trains, failing, damaged.
#include "base/error.h"
#include "catch.h"
#include "run.h"

namespace fs = std::filesystem;
using eddy_test::contents;
using eddy_test::Run;

namespace {
int times(const std::string& text, const std::string& part) {
  int n = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}
}  // namespace

TEST_CASE("checkpoints written while training goes on hold the state of their step") {
  const Run async, sync;
  const std::vector<std::string> common{"--train.steps=9", "--checkpoint.every=2", "--checkpoint.keep=9"};
  auto command = common;
  command.push_back("--checkpoint.ranks_per_file=1");
  const auto result = async.start(command, 2);
  INFO(result.err);
  REQUIRE(result.status == 0);
  command = common;
  command.push_back("--checkpoint.async=off");
  REQUIRE(sync.start(command, 2).status == 0);
  REQUIRE(async.checkpoints() == sync.checkpoints());
  REQUIRE(async.checkpoints().size() == 5);
  for (const auto& name : async.checkpoints()) {
    CAPTURE(name);
    CHECK(contents(async.dir / "checkpoints" / name) == contents(sync.dir / "checkpoints" / name));
    CHECK(fs::exists(async.dir / "checkpoints" / name / "data-00001.h5"));
  }
  // four lines at least tell of a finished checkpoint's bytes: float32 parameters, two moments of all but the biases
  int told = 0;
  for (const auto& line : async.metrics())
    if (line.contains("ckpt_bytes")) {
      ++told;
      CHECK(line.at("ckpt_bytes") > 3 * 4 * 600000);
      CHECK(line.at("ckpt_write_s") > 0);
      CHECK(line.at("ckpt_stall_s") > 0);
    }
  CHECK(told == 4);
}

TEST_CASE("checkpoints that waited on the node's disk hold the state of their step") {
  const Run staged, sync;
  const eddy_test::TempDir temp;
  const std::vector<std::string> common{"--train.steps=7", "--checkpoint.every=2", "--checkpoint.keep=9"};
  auto command = common;
  command.push_back("--checkpoint.staging=" + (temp / "made/here").string());
  const auto result = staged.start(command, 2);
  INFO(result.err);
  REQUIRE(result.status == 0);
  command = common;
  command.push_back("--checkpoint.async=off");
  REQUIRE(sync.start(command, 2).status == 0);
  REQUIRE(staged.checkpoints() == sync.checkpoints());
  REQUIRE(staged.checkpoints().size() == 4);
  for (const auto& name : staged.checkpoints())
    CHECK(contents(staged.dir / "checkpoints" / name) == contents(sync.dir / "checkpoints" / name));
  int told = 0;
  for (const auto& line : staged.metrics()) told += line.contains("ckpt_stage_s") && line.at("ckpt_stage_s") > 0;
  CHECK(told == 3);
  for (const auto& line : sync.metrics()) CHECK(!line.contains("ckpt_stage_s"));
  CHECK(fs::is_empty(temp / "made/here"));
  // a folder that cannot be is refused before anything is loaded
  eddy_test::write_file(temp / "file", "");
  const auto refused = sync.start({"--train.steps=8", "--checkpoint.staging=" + (temp / "file/below").string()});
  CHECK(refused.status == 2);
  CHECK(times(refused.err, "checkpoint.staging = ") == 1);
}

TEST_CASE("a save that fails does not end the run; two in a row do") {
  const Run run;
  const auto in_the_way = [&](int step) {  // is no checkpoint, and therefore not overwritten
    eddy_test::write_file(run.dir / "checkpoints" / fmt::format("step-{:08}", step), "");
  };
  fs::create_directories(run.dir / "checkpoints");
  in_the_way(2);
  const auto once = run.start({"--train.steps=5", "--checkpoint.every=2"}, 2);
  INFO(once.err);
  REQUIRE(once.status == 0);
  CHECK(times(once.err, "the checkpoint of step 2 failed") == 1);  // by one rank
  CHECK(run.checkpoints() == std::vector<std::string>{"step-00000004", "step-00000005"});
  CHECK(run.metrics()[1].at("ckpt_failed") == 1);
  CHECK(!run.metrics()[3].contains("ckpt_failed"));
  in_the_way(6);
  in_the_way(8);
  const auto twice = run.start({"--train.steps=20", "--checkpoint.every=2"});
  INFO(twice.err);
  CHECK(twice.status != 0);
  CHECK(twice.err.find("step-00000008 exists") != std::string::npos);
  CHECK(run.checkpoints().back() == "step-00000005");
}

TEST_CASE("a damaged newest checkpoint is named and set aside, and the run goes on from the one before") {
  const Run run, straight;
  REQUIRE(straight.start({"--train.steps=6"}).status == 0);
  REQUIRE(run.start({"--train.steps=5", "--checkpoint.every=1", "--checkpoint.keep=3", "--checkpoint.keep_every=2"})
              .status == 0);
  using Names = std::vector<std::string>;
  REQUIRE(run.checkpoints() == Names{"step-00000002", "step-00000003", "step-00000004", "step-00000005"});
  const auto folder = [&](int step) { return run.dir / "checkpoints" / fmt::format("step-{:08}", step); };
  // found when it is opened, and when it is read
  fs::resize_file(folder(5) / "data.h5", fs::file_size(folder(5) / "data.h5") - 1);
  std::string data = eddy_test::read_file(folder(4) / "data.h5");
  data[data.size() / 2] ^= 16;
  eddy_test::write_file(folder(4) / "data.h5", data);
  const auto result = run.start({"--train.steps=6", "--checkpoint.keep=1"});
  INFO(result.err);
  REQUIRE(result.status == 0);
  for (const char* said : {"step-00000005/data.h5", "step-00000004/data.h5", "going on from", "step-00000003 after"})
    CHECK(result.err.find(said) != std::string::npos);
  CHECK(run.checkpoints() == Names{"step-00000006"});
  CHECK(fs::exists(run.dir / "checkpoints/step-00000005.damaged"));
  CHECK(fs::exists(run.dir / "checkpoints/step-00000004.damaged"));
  CHECK(contents(folder(6)) == contents(straight.dir / "checkpoints/step-00000006"));
}

TEST_CASE("an empty folder with a checkpoint's name does not keep the checkpoint from it") {
  const Run run;
  fs::create_directories(run.dir / "checkpoints/step-00000002");
  const auto result = run.start({"--train.steps=4", "--checkpoint.every=2"});
  INFO(result.err);
  REQUIRE(result.status == 0);
  CHECK(times(result.err, "failed") == 0);
  CHECK(run.checkpoints() == std::vector<std::string>{"step-00000002", "step-00000004"});
}

TEST_CASE("old checkpoints that cannot be deleted do not make the new one a failed save") {
  for (const int operation : {1, 4}) {  // renaming the one that goes, and removing a file of it
    CAPTURE(operation);
    const Run run;
    const auto result =
        run.start({"--train.steps=5", "--checkpoint.every=1", "--checkpoint.keep=1", "--fault.kind=io_error",
                   "--fault.where=deleting", "--fault.step=2", "--fault.operation=" + std::to_string(operation)});
    INFO(result.err);
    REQUIRE(result.status == 0);
    CHECK(times(result.err, "fault.kind = io_error") == 1);
    CHECK(times(result.err, "checkpoints/step-00000002 stands, but older ones could not be deleted") == 1);
    CHECK(times(result.err, "of step 2 failed") == 0);
    for (const auto& line : run.metrics()) CHECK(!line.contains("ckpt_failed"));
    CHECK(run.checkpoints() == std::vector<std::string>{"step-00000005"});  // the next deletion took what was left
    for (const auto& entry : fs::directory_iterator(run.dir / "checkpoints")) CHECK(entry.path().extension() != ".tmp");
  }
}

TEST_CASE("a run that has reached its last step says so; one that is beyond it is refused") {
  const Run run;
  REQUIRE(run.start({"--train.steps=4"}).status == 0);
  const auto again = run.start({"--train.steps=4"});
  CHECK(again.status == 0);
  CHECK(times(again.err, "all 4 steps are done: there is nothing to do") == 1);
  const auto fewer = run.start({"--train.steps=3"}, 2);
  INFO(fewer.err);
  CHECK(fewer.status == 2);
  CHECK(times(fewer.err, "train.steps = 3, but the run has reached step 4") == 1);
  CHECK(times(fewer.err, "step-00000004") == 1);
  CHECK(run.checkpoints() == std::vector<std::string>{"step-00000004"});
  CHECK(run.start({"--train.steps=5"}).status == 0);
}
