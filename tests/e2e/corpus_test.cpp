// From a crawl's store to a few steps of training: eddy-shard on two ranks makes texts and pairs, eddy-train learns on
// both, mixed.
#include <nlohmann/json.hpp>
#include <sstream>

#include "catch.h"
#include "shard/synthetic_store.h"
#include "support.h"

using eddy_test::run;
using eddy_test::TempDir;

TEST_CASE("a store is sharded and trained on") {
  const TempDir dir;
  const auto at = [&](const char* name) { return (dir / name).string(); };
  eddy_test::StoreMaker store;
  std::string words;
  for (std::uint64_t i = 0; i < 12; ++i) {
    const std::string title = "On the flow of kind " + std::to_string(i), paper = eddy_test::made_paper(i, title);
    store.add("arXiv:2101.0000" + std::to_string(i), title, paper);
    words += nlohmann::json{{"text", paper}}.dump() + "\n";
  }
  store.write(dir / "store");
  eddy_test::write_file(dir / "words.jsonl", words);
  auto r = run({"eddy-shard", "train-tokenizer", "--input", at("words.jsonl"), "--vocab-size", "263", "--out",
                at("tokenizer.json")});
  REQUIRE(r.status == 0);
  r = run({"eddy-shard", "--input", at("store"), "--tokenizer", at("tokenizer.json"), "--out", at("shards"),
           "--split.validation", "0.2", "--pairs.kinds", "theorem", "definition", "--pairs.templates",
           (eddy_test::source_dir() / "configs/corpus/templates.json").string(), "--pairs.think"},
          2);
  INFO(r.err);
  REQUIRE(r.status == 0);
  r = run({"eddy-shard", "inspect", at("shards")});
  CHECK(r.status == 2);
  CHECK(r.err.find("shards/text") != std::string::npos);  // where the directories of shards are
  r = run({"eddy-shard", "sample", at("shards/pairs"), "--n", "3"});
  CHECK(r.out.find("<think>") != std::string::npos);
  r = run({"eddy-train", "--config", (eddy_test::source_dir() / "configs/train/reversal.ini").string(),
           "--model.config", (eddy_test::source_dir() / "configs/model/reversal.json").string(), "--data.train",
           at("shards/text") + ":0.5," + at("shards/pairs") + ":0.5", "--run.dir", at("run"), "--run.threads=1",
           "--train.steps=3", "--optim.warmup_steps=1", "--train.seq_len=128", "--train.global_batch=4",
           "--train.micro_batch=2"},
          0, 100);
  INFO(r.err);
  REQUIRE(r.status == 0);
  std::istringstream metrics(eddy_test::read_file(dir / "run" / "metrics.jsonl"));
  int steps = 0;
  for (std::string line; std::getline(metrics, line); ++steps)
    CHECK(nlohmann::json::parse(line).at("loss").get<double>() > 0);
  CHECK(steps == 3);
}
