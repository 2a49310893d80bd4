// eddy-train from outside: what a run leaves, how it resumes, how it stops.
#include <sys/mount.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "catch.h"
#include "run.h"

using nlohmann::json;
namespace fs = std::filesystem;
using eddy_test::contents;
using eddy_test::Run;
using eddy_test::RunResult;

TEST_CASE("a run learns, and leaves its folder as documented") {
  const Run run;
  const auto result = run.start({"--train.steps=12", "--train.validate_every=6", "--checkpoint.every=5",
                                 "--checkpoint.keep=2", "--train.mtp=off"});
  INFO(result.err);
  REQUIRE(result.status == 0);
  const auto lines = run.metrics();
  REQUIRE(lines.size() == 12);
  for (std::size_t i = 0; i < 12; ++i) {
    CHECK(lines[i].at("step") == i + 1);
    CHECK(lines[i].at("tokens") == (i + 1) * 8 * 64);
    CHECK(lines[i].contains("val_ppl") == ((i + 1) % 6 == 0));
    CHECK(lines[i].at("mtp_loss").is_null());
    CHECK(lines[i].at("expert_load_max") >= 1.0);
    CHECK(lines[i].at("expert_load_min") <= 1.0);
    CHECK(lines[i].at("mem_peak_bytes") > 4 * 644016 * 4);
    CHECK(lines[i].at("tflops_per_rank") > 0);
  }
  CHECK(lines[11].at("loss").get<double>() < 0.8 * lines[0].at("loss").get<double>());
  CHECK(lines[11].at("val_loss").get<double>() < lines[5].at("val_loss").get<double>());
  CHECK(lines[11].at("val_ppl").get<double>() == approx(std::exp(lines[11].at("val_loss").get<double>())));
  CHECK(run.checkpoints() == std::vector<std::string>{"step-00000010", "step-00000012"});
  CHECK(eddy_test::read_file(run.dir / "config.ini").find("steps = 12") != std::string::npos);
  CHECK(fs::exists(run.dir / "log" / "train.log"));
  CHECK(!fs::exists(run.dir / "lock"));
}

namespace {

/// Losses, norms and rates as written: equal texts are equal bits.
std::vector<std::string> numbers(const std::vector<json>& lines) {
  std::vector<std::string> out;
  for (const auto& l : lines)
    out.push_back(l.at("loss").dump() + " " + l.at("mtp_loss").dump() + " " + l.at("grad_norm").dump() + " " +
                  l.at("lr").dump());
  return out;
}

/// Starts a run under `launcher`, sends it a signal once it has done three steps, waits.
RunResult start_and_signal(const Run& run, const std::string& launcher, const std::string& signal) {
  const auto lines = fs::exists(run.dir / "metrics.jsonl") ? run.metrics().size() : 0;
  const std::string script = launcher + " \"$@\" & pid=$!; n=0; while [ $n -lt 600 ] && [ \"$(cat '" +
                             (run.dir / "metrics.jsonl").string() + "' 2>/dev/null | wc -l)\" -lt " +
                             std::to_string(lines + 3) + " ]; do n=$((n+1)); sleep 0.05; done; kill -" + signal +
                             " $pid; wait $pid";
  const char* bin = std::getenv("EDDY_BIN_DIR");
  // a checkpoint a step: when the signal comes one is being written, as a rule
  auto command = run.command({"--train.steps=100000", "--checkpoint.every=1", "--checkpoint.keep=2"});
  command[0] = (fs::path(bin ? bin : ".") / "eddy-train").string();
  std::vector<std::string> argv{"sh", "-c", script, "sh"};
  argv.insert(argv.end(), command.begin(), command.end());
  return eddy_test::run(argv);
}

}  // namespace

TEST_CASE("a run stopped by a signal goes on to the same bits") {
  const Run stopped, straight;
  for (const std::string signal : {"USR1", "TERM"}) {
    const auto result = start_and_signal(stopped, "", signal);
    INFO(result.err);
    REQUIRE(result.status == 75);
    CHECK(result.err.find("SIG" + signal) != std::string::npos);
  }
  const auto steps = stopped.metrics().size();
  REQUIRE(steps >= 4);
  CHECK(stopped.checkpoints().back() == fmt::format("step-{:08}", steps));
  REQUIRE(straight.start({"--train.steps=" + std::to_string(steps)}).status == 0);
  CHECK(numbers(stopped.metrics()) == numbers(straight.metrics()));
  CHECK(contents(stopped.dir / "checkpoints" / stopped.checkpoints().back()) ==
        contents(straight.dir / "checkpoints" / straight.checkpoints().back()));
}

TEST_CASE("mpirun passes the signal on, all ranks stop at one step, and one rank goes on from there") {
  const Run run, straight;
  auto result = start_and_signal(run, "mpiexec -n 2", "USR1");
  INFO(result.err);
  REQUIRE(result.status == 75);
  const auto steps = run.metrics().size();
  result = run.start({"--train.steps=" + std::to_string(steps + 3), "--parallel.pp=2"}, 2);
  INFO(result.err);
  REQUIRE(result.status == 0);
  CHECK(result.err.find("agree to rounding") != std::string::npos);
  REQUIRE(straight.start({"--train.steps=" + std::to_string(steps + 3)}).status == 0);
  const auto a = run.metrics(), b = straight.metrics();
  REQUIRE(a.size() == b.size());
  CHECK(a.back().at("loss").get<double>() == approx(b.back().at("loss").get<double>()).epsilon(1e-4));
}

TEST_CASE("a time that is up stops a run; the metrics of steps that are done again are set aside") {
  const Run run;
  CHECK(run.start({"--train.steps=100000", "--run.stop_after=0.5", "--checkpoint.every=2"}).status == 75);
  const auto done = static_cast<std::int64_t>(run.metrics().size());
  fs::remove_all(run.dir / "checkpoints" /
                 fmt::format("step-{:08}", done));  // as if it had died before its last checkpoint
  const auto from = done % 2 ? done - 1 : done - 2;
  const auto result = run.start({"--train.steps=" + std::to_string(from + 1)});
  INFO(result.err);
  REQUIRE(result.status == 0);
  CHECK(run.metrics().size() == static_cast<std::size_t>(from + 1));
  std::size_t aside = 0;
  for (const auto& entry : fs::directory_iterator(run.dir / "log"))
    if (entry.path().filename().string().starts_with(fmt::format("metrics-after-{:08}", from))) {
      const auto text = eddy_test::read_file(entry.path());
      aside = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    }
  CHECK(aside == static_cast<std::size_t>(done - from));
}

TEST_CASE("losses that are not finite end a run with the last good state saved") {
  const Run run;
  const auto result = run.start({"--train.steps=50", "--optim.lr=1e30", "--train.max_bad_steps=2"});
  INFO(result.err);
  REQUIRE(result.status == 1);
  CHECK(result.err.find("train.max_bad_steps") != std::string::npos);
  const auto lines = run.metrics();
  CHECK(lines.back().at("grad_norm").is_null());
  CHECK(lines.back().at("skipped_steps") == 3);
  REQUIRE(run.checkpoints().size() == 1);
  CHECK(run.checkpoints()[0] == fmt::format("step-{:08}", lines.size()));
  for (const auto& [name, values] : contents(run.dir / "checkpoints" / run.checkpoints()[0]))
    CHECK(std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); }));
}

TEST_CASE("a full disk ends the run; the checkpoint before stays usable") {
  const Run run;
  fs::create_directory(run.dir);
  // tiny's state is 10 MB: one checkpoint fits, two do not
  if (mount("tmpfs", run.dir.c_str(), "tmpfs", 0, "size=16m") != 0)
    return eddy_test::skip("cannot mount a small file system here");
  const auto full = run.start({"--train.steps=4", "--checkpoint.every=2"});
  const auto left = run.checkpoints();
  const auto again = run.start({"--train.steps=2", "--checkpoint.every=2"});
  umount2(run.dir.c_str(), MNT_DETACH);
  INFO(full.err);
  CHECK(full.status == 1);
  CHECK(full.err.find("step-00000004") != std::string::npos);
  CHECK(full.err.find("No space left") != std::string::npos);
  CHECK(left == std::vector<std::string>{"step-00000002"});
  INFO(again.err);
  CHECK(again.status == 0);
}

TEST_CASE("a limit on the size of files ends the run as a full disk does, on one rank and on two") {
  for (const int ranks : {1, 2}) {
    const Run run;
    REQUIRE(run.start({"--train.steps=2"}, ranks).status == 0);
    auto command = run.command({"--train.steps=3"});
    command[0] = (fs::path(std::getenv("EDDY_BIN_DIR")) / command[0]).string();
    command.insert(command.begin(), {"/bin/sh", "-c", "ulimit -f 2000; exec \"$0\" \"$@\""});  // the file has 10 MB
    const auto limited = eddy_test::run(command, ranks);
    INFO(limited.err);
    CHECK(limited.status == 1);
    CHECK(limited.err.find("data.h5: File too large") != std::string::npos);
    CHECK(run.checkpoints() == std::vector<std::string>{"step-00000002"});
    CHECK(run.start({"--train.steps=3"}, ranks).status == 0);
  }
}
