// What eddy-train refuses: exit status 2, a message that names it, and nothing lost.
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/process.h"
#include "catch.h"
#include "checkpoint/checkpoint.h"
#include "dataset.h"
#include "refusal.h"
#include "support.h"

namespace fs = std::filesystem;
using eddy_test::lacks;
using eddy_test::RunResult;

namespace {

struct Run {
  const eddy_test::TempDir temp;
  fs::path dir = temp / "run", data = temp / "data";
  Run() { eddy_test::write_counting(data, 100); }
  RunResult start(const std::vector<std::string>& more, int ranks = 0) const {
    std::vector<std::string> argv{"eddy-train",
                                  "--model.config=tiny",
                                  "--data.train=" + data.string(),
                                  "--run.dir=" + dir.string(),
                                  "--train.seq_len=64",
                                  "--train.global_batch=2",
                                  "--train.steps=1",
                                  "--optim.schedule=constant",
                                  "--run.threads=1"};
    argv.insert(argv.end(), more.begin(), more.end());
    return eddy_test::run(argv, ranks);
  }
  /// Starts a run that must be refused before it makes anything; what it says.
  std::string refused(const std::vector<std::string>& more, int ranks = 0) const {
    const bool before = fs::exists(dir);
    const auto result = start(more, ranks);
    INFO(result.err);
    CHECK(result.status == 2);
    CHECK(fs::exists(dir) == before);
    return result.err;
  }
};

/// Flips a bit, or cuts the file there.
void damage(const fs::path& file, std::size_t at, bool cut) {
  auto bytes = eddy_test::read_file(file);
  REQUIRE(at < bytes.size());
  if (cut)
    bytes.resize(at);
  else
    bytes[at] = static_cast<char>(bytes[at] ^ 4);
  eddy_test::write_file(file, bytes);
}

}  // namespace

TEST_CASE("files that are missing") {
  const Run run;
  CHECK(lacks(run.refused({"--config", "nothing.ini"}), {"nothing.ini"}) == "");
  CHECK(lacks(run.refused({"--model.config=nothing"}), {"nothing", "deepseek-r1"}) == "");
  CHECK(lacks(run.refused({"--model.init=" + (run.temp / "nothing").string()}), {"nothing"}) == "");
  CHECK(lacks(run.refused({"--data.train=" + (run.temp / "nothing").string()}), {"nothing"}) == "");
  CHECK(lacks(run.refused({"--checkpoint.resume=" + (run.temp / "nothing").string()}), {"nothing", "auto"}) == "");
}

TEST_CASE("layouts and batches that do not divide, with what does") {
  const Run run;
  CHECK(lacks(run.refused({"--parallel.tp=3"}, 3), {"parallel.tp", "4 attention heads", "Nearest"}) == "");
  CHECK(lacks(run.refused({"--parallel.tp=2", "--parallel.pp=2"}, 2), {"parallel.tp", "needs 4 ranks"}) == "");
  CHECK(lacks(run.refused({"--parallel.ep=4"}, 2), {"parallel.ep"}) == "");
  CHECK(lacks(run.refused({"--parallel.cp=2"}, 2), {"parallel.cp", "later version"}) == "");
  CHECK(lacks(run.refused({"--train.global_batch=3"}, 2), {"train.global_batch", "2 and 4"}) == "");
  CHECK(lacks(run.refused({"--train.seq_len=4096"}), {"train.seq_len", "2048"}) == "");
}

TEST_CASE("data that is not the model's") {
  const Run run;
  const fs::path wide = run.temp / "wide";
  eddy_test::write_counting(wide, 100, 1024);
  CHECK(lacks(run.refused({"--data.train=" + wide.string()}), {"wide", "1024", "512"}) == "");
  const fs::path test_only = run.temp / "test_only";
  eddy::shard::DatasetWriter writer(test_only, eddy_test::kTokenizerHash, 64);
  writer.add(eddy::shard::Split::train, {1, 2, 3, 4});
  writer.finish();
  CHECK(lacks(run.refused({"--data.train=" + test_only.string(), "--train.validate_every=1"}),
              {"validation", "test_only"}) == "");
  CHECK(lacks(run.refused({"--data.validation=" + test_only.string()}), {"validation", "test_only"}) == "");
}

TEST_CASE("damaged shards") {
  for (const bool cut : {false, true}) {
    const Run run;
    for (const auto& entry : fs::directory_iterator(run.data))
      if (entry.path().filename().string().find("train") != std::string::npos) {
        damage(entry.path(), fs::file_size(entry.path()) - 200, cut);
        CHECK(lacks(run.refused({}), {entry.path().filename().string()}) == "");
      }
  }
}

TEST_CASE("multi-token prediction that is not there") {
  const Run run;
  auto config = nlohmann::json::parse(eddy_test::read_file(eddy_test::source_dir() / "configs/model/tiny.json"));
  config["num_nextn_predict_layers"] = 0;
  eddy_test::write_file(run.temp / "plain.json", config.dump());
  const std::string plain = "--model.config=" + (run.temp / "plain.json").string();
  CHECK(lacks(run.refused({plain, "--train.mtp=on"}), {"train.mtp", "init"}) == "");
  REQUIRE(run.start({plain}).status == 0);
  const std::string from = "--model.init=" + (run.dir / "checkpoints/step-00000001").string(),
                    other = "--run.dir=" + (run.temp / "other").string();
  CHECK(lacks(run.refused({from, other, "--train.mtp=on"}), {"train.mtp", "init"}) == "");
  const auto result = run.start({from, other, "--train.mtp=init"});
  INFO(result.err);
  CHECK(result.status == 0);
  CHECK(eddy::checkpoint::Checkpoint(run.temp / "other/checkpoints/step-00000001")
            .has("model/model.layers.4.eh_proj.weight"));
}

TEST_CASE("a run goes on only as what it was") {
  const Run run;
  REQUIRE(run.start({}).status == 0);
  const auto before = eddy_test::read_file(run.dir / "metrics.jsonl");
  const fs::path foreign = run.temp / "foreign";
  eddy_test::write_counting(foreign, 100, 64, 99);
  CHECK(lacks(run.refused({"--train.steps=2", "--data.train=" + foreign.string()}), {"tokenizer"}) == "");
  CHECK(lacks(run.refused({"--train.steps=2", "--model.config=demo"}), {"hidden_size (64 → 128)"}) == "");
  CHECK(lacks(run.refused({"--train.steps=2", "--train.mtp=off"}), {"train.mtp"}) == "");
  CHECK(lacks(run.refused({"--train.steps=2", "--checkpoint.resume=never"}), {"never", "step-00000001"}) == "");
  const auto self = eddy::this_process();
  eddy_test::write_file(run.dir / "lock",
                        nlohmann::json{{"host", self.host}, {"pid", self.pid}, {"heartbeat", 0}}.dump());
  CHECK(lacks(run.refused({"--train.steps=2"}, 2), {"in use by a live run", std::to_string(self.pid)}) == "");
  CHECK(eddy_test::read_file(run.dir / "metrics.jsonl") == before);
  fs::remove(run.dir / "lock");
  CHECK(run.start({"--train.steps=2"}).status == 0);
}

TEST_CASE("damaged checkpoints") {
  const Run run;
  REQUIRE(run.start({}).status == 0);
  const fs::path whole = run.dir / "checkpoints/step-00000001", kept = run.temp / "kept";
  fs::copy(whole, kept, fs::copy_options::recursive);
  const auto size = fs::file_size(kept / "data.h5");
  for (const auto& [at, cut] : {std::pair{size / 2, false}, std::pair{size / 2, true}, std::pair{size - 1, true}}) {
    damage(whole / "data.h5", at, cut);
    CHECK(lacks(run.refused({"--train.steps=2"}), {"step-00000001"}) == "");
    fs::copy(kept / "data.h5", whole / "data.h5", fs::copy_options::overwrite_existing);
  }
  damage(whole / "manifest.json", 100, false);
  CHECK(lacks(run.refused({"--train.steps=2"}), {"manifest.json"}) == "");
  fs::copy(kept / "manifest.json", whole / "manifest.json", fs::copy_options::overwrite_existing);
  CHECK(run.start({"--train.steps=2"}).status == 0);
}
