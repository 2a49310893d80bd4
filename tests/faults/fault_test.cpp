// A job that is killed, stopped, hung or broken at any point ends with the same parameters, bit for bit, as one that
// ran in peace. EDDY_FAULT_RUNS gives the number of jobs with random faults (docs/faults.md has the long form).
#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "../train/contents.h"
#include "../train/dataset.h"
#include "base/rng.h"
#include "catch.h"
#include "support.h"

namespace fs = std::filesystem;
using eddy_test::RunResult;

namespace {

constexpr int kRanks = 4, kSteps = 8;

class Job {
 public:
  explicit Job(const fs::path& data) : data_(data) {}
  RunResult start(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> argv{"eddy-train",
                                  "--model.config=tiny",
                                  "--data.train=" + data_.string(),
                                  "--run.dir=" + dir_.string(),
                                  "--train.seq_len=64",
                                  "--train.micro_batch=1",
                                  "--train.global_batch=4",
                                  "--train.steps=" + std::to_string(kSteps),
                                  "--optim.lr=3e-3",
                                  "--checkpoint.every=2",
                                  "--checkpoint.keep=2",
                                  "--parallel.tp=2",
                                  "--parallel.ep=2",
                                  "--run.threads=1",
                                  "--comm.timeout_s=10"};
    argv.insert(argv.end(), more.begin(), more.end());
    return eddy_test::run(argv, kRanks);
  }
  std::map<std::string, std::vector<float>> end() const {
    return eddy_test::contents(dir_ / "checkpoints" / fmt::format("step-{:08}", kSteps));
  }
  /// The losses as written: equal texts are equal bits.
  std::vector<std::string> losses() const {
    std::vector<std::string> out;
    std::istringstream in(eddy_test::read_file(dir_ / "metrics.jsonl"));
    for (std::string line; std::getline(in, line);) out.push_back(nlohmann::json::parse(line).at("loss").dump());
    return out;
  }

 private:
  const eddy_test::TempDir temp_;
  fs::path data_, dir_ = temp_ / "run";
};

struct Case {
  std::string kind;
  int step, rank;
  std::uint32_t after_ms;  ///< 0: at the step's begin
  std::vector<std::string> options() const {
    return {"--fault.kind=" + kind, "--fault.step=" + std::to_string(step), "--fault.rank=" + std::to_string(rank),
            "--fault.after_ms=" + std::to_string(after_ms)};
  }
  bool waits() const { return kind == "stop" || kind == "hang"; }
  bool asks() const { return kind == "term" || kind == "int" || kind == "usr1"; }
};

const std::vector<std::string> kKinds{"kill", "stop", "term", "int", "usr1", "segv", "abort", "exception", "hang"};

/// Each kind in turn; step, rank and moment at random.
Case draw(int i) {
  const auto random = eddy::philox(11, static_cast<std::uint64_t>(i));
  Case c{kKinds[static_cast<std::size_t>(i) % kKinds.size()], 1 + static_cast<int>(random[0] % kSteps),
         static_cast<int>(random[1] % kRanks), 0};
  if (c.kind != "exception" && c.kind != "hang" && random[2] % 4 != 0) c.after_ms = 1 + random[3] % 60;
  return c;
}

}  // namespace

TEST_CASE("whatever befalls a rank, the job starts again and ends with the same bits") {
  const eddy_test::TempDir data;
  eddy_test::write_counting(data / "data", 400);
  const Job calm(data / "data");
  REQUIRE(calm.start().status == 0);
  const auto expected = calm.end();
  const auto losses = calm.losses();
  REQUIRE(expected.size() > 20);
  const char* wanted = std::getenv("EDDY_FAULT_RUNS");
  const int runs = wanted ? std::atoi(wanted) : static_cast<int>(kKinds.size());
  REQUIRE(runs > 0);
  int unharmed = 0;
  for (int i = 0; i < runs; ++i) {
    const Case fault = draw(i);
    const Job job(data / "data");
    auto options = fault.options();
    if (fault.waits()) options.push_back("--comm.timeout_s=2");
    const auto hit = job.start(options);
    INFO("run " << i << ", fault " << fault.kind << " on rank " << fault.rank << " in step " << fault.step << " after "
                << fault.after_ms << " ms: exit " << hit.status << "\n"
                << hit.err);
    // A signal late in the last step may come when there is nothing left to harm.
    if (hit.status == 0)
      ++unharmed;
    else if (fault.asks())
      CHECK(hit.status == 75);
    else
      CHECK((hit.status != 75 && hit.status != 124));
    if (hit.status == 0) CHECK((fault.step == kSteps || fault.after_ms > 0));
    if (hit.status != 0) {
      const auto again = job.start();
      INFO(again.err);
      REQUIRE(again.status == 0);
    }
    CHECK(job.losses() == losses);
    CHECK(job.end() == expected);
  }
  CHECK(unharmed * 2 < runs);
}

TEST_CASE("a fault that cannot be is refused") {
  const eddy_test::TempDir data;
  eddy_test::write_counting(data / "data", 50);
  const Job job(data / "data");
  const auto nobody = job.start({"--fault.kind=kill", "--fault.rank=4"});
  CHECK(nobody.status == 2);
  CHECK_THAT(nobody.err, contains_text("fault.rank = 4"));
  const auto late = job.start({"--fault.kind=hang", "--fault.after_ms=5"});
  CHECK(late.status == 2);
  CHECK_THAT(late.err, contains_text("fault.after_ms"));
}
