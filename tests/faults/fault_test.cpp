// A job that is killed, stopped, hung or broken at any point, or whose files are, ends with the same parameters, bit
// for bit, as one that ran in peace. EDDY_FAULT_RUNS gives the number of jobs with random faults, EDDY_FAULT_FIRST the
// number of the first (docs/faults.md).
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "../train/contents.h"
#include "../train/dataset.h"
#include "base/error.h"
#include "base/rng.h"
#include "catch.h"
#include "support.h"

namespace fs = std::filesystem;
using eddy_test::RunResult;

namespace {

constexpr int kRanks = 4, kSteps = 8;
constexpr std::uint32_t kSaving = 195, kCommitting = 8, kDeleting = 6;  // file operations of a rank in a save, about

class Job {
 public:
  explicit Job(const fs::path& data) : data_(data) {}
  RunResult start(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> argv{"eddy-train",
                                  "--model.config=" + model(),
                                  "--data.train=" + data_.string(),
                                  "--run.dir=" + dir_.string(),
                                  "--train.seq_len=64",
                                  "--train.micro_batch=1",
                                  "--train.global_batch=4",
                                  "--train.steps=" + std::to_string(kSteps),
                                  "--optim.lr=3e-3",
                                  "--checkpoint.every=2",
                                  "--checkpoint.keep=2",
                                  "--checkpoint.ranks_per_file=2",
                                  "--checkpoint.threads=2",
                                  "--parallel.tp=2",
                                  "--parallel.ep=2",
                                  "--run.threads=1",
                                  "--comm.timeout_s=100"};
    argv.insert(argv.end(), more.begin(), more.end());
    return eddy_test::run(argv, kRanks, 300);
  }
  fs::path checkpoints() const { return dir_ / "checkpoints"; }
  std::map<std::string, std::vector<float>> end() const {
    return eddy_test::contents(checkpoints() / fmt::format("step-{:08}", kSteps));
  }
  /// The losses as written: equal texts are equal bits.
  std::vector<std::string> losses() const {
    std::vector<std::string> out;
    std::istringstream in(eddy_test::read_file(dir_ / "metrics.jsonl"));
    for (std::string line; std::getline(in, line);) out.push_back(nlohmann::json::parse(line).at("loss").dump());
    return out;
  }

 private:
  /// By its file where that is known, so that the programs may lie anywhere.
  static std::string model() {
    const fs::path file = eddy_test::source_dir() / "configs/model/tiny.json";
    return fs::exists(file) ? file.string() : "tiny";
  }
  const eddy_test::TempDir temp_;
  fs::path data_, dir_ = temp_ / "run";
};

struct Case {
  std::string kind, where;
  int step, rank;
  std::uint32_t after_ms, operation, bytes;
  std::vector<std::string> options() const {
    std::vector<std::string> out{"--fault.kind=" + kind, "--fault.where=" + where,
                                 "--fault.step=" + std::to_string(step), "--fault.rank=" + std::to_string(rank)};
    if (after_ms > 0) out.push_back("--fault.after_ms=" + std::to_string(after_ms));
    if (operation > 1) out.push_back("--fault.operation=" + std::to_string(operation));
    if (bytes > 0) out.push_back("--fault.bytes=" + std::to_string(bytes));
    if (waits()) out.insert(out.end(), {"--comm.timeout_s=8", "--comm.file_timeout_s=10"});
    return out;
  }
  bool waits() const { return kind == "stop" || kind == "hang"; }
  bool asks() const { return kind == "term" || kind == "int" || kind == "usr1"; }
  /// Damages a checkpoint unseen; the rank then is killed.
  bool silent() const { return kind == "bit_flip" || kind == "lost_file" || kind == "lost_node"; }
  /// A job may bear it: a save fails, and the next one stands.
  bool may_be_borne() const {
    return kind == "disk_full" || kind == "io_error" || kind == "lost_file" || (kind == "exception" && where != "step");
  }
};

const std::vector<std::string> kProcess{"kill", "stop", "term", "int", "usr1", "segv", "abort", "exception", "hang"},
    kFiles{"disk_full", "io_error", "slow_disk", "torn_write", "bit_flip", "lost_file", "lost_node", "power_loss"};

/// Where a kind can happen.
std::vector<std::string> places(const std::string& kind) {
  if (kind == "disk_full" || kind == "torn_write" || kind == "bit_flip") return {"saving", "committing"};
  if (kind == "lost_node") return {"saving"};
  if (std::find(kFiles.begin(), kFiles.end(), kind) != kFiles.end()) return {"saving", "committing", "deleting"};
  return {"step", "saving", "committing", "deleting"};
}

/// Each kind in turn, and of each kind its places in turn; step, rank and moment at random.
Case draw(int i) {
  const auto random = eddy::philox(11, static_cast<std::uint64_t>(i)),
             more = eddy::philox(12, static_cast<std::uint64_t>(i));
  const std::size_t kinds = kProcess.size() + kFiles.size(), turn = static_cast<std::size_t>(i) % kinds,
                    round = static_cast<std::size_t>(i) / kinds;
  const std::string kind = turn < kProcess.size() ? kProcess[turn] : kFiles[turn - kProcess.size()];
  const auto allowed = places(kind);
  Case c{kind,
         allowed[(turn + round) % allowed.size()],
         1 + static_cast<int>(random[0] % kSteps),
         static_cast<int>(random[1] % kRanks),
         0,
         1,
         0};
  if (c.where == "step") {
    if (c.kind != "exception" && c.kind != "hang" && random[2] % 4 != 0) c.after_ms = 1 + random[3] % 60;
    return c;
  }
  if (c.where != "saving") c.rank = 0;
  if (c.silent()) c.step = std::max(c.step, 3);  // a checkpoint must stand before the damaged one
  if (c.kind != "lost_node")
    c.operation = 1 + more[1] % (c.where == "saving" ? kSaving : c.where == "committing" ? kCommitting : kDeleting);
  // the manifest is the commit's only write: what waits for one must come before it
  if (c.where == "committing" && (c.kind == "disk_full" || c.kind == "torn_write" || c.kind == "bit_flip"))
    c.operation = 1 + more[1] % 3;
  if (c.kind == "disk_full" || c.kind == "torn_write" || c.kind == "bit_flip") c.bytes = more[2] % 5000;
  return c;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Which file operation the log says was hit; without the folder.
std::string operation_of(const std::string& log) {
  const auto at = log.find("operation "), end = log.find('\n', at);
  return at == std::string::npos
             ? "hit"
             : std::regex_replace(log.substr(at, end - at), std::regex("[^ ]*/run/checkpoints/?"), "");
}

/// Reads all of a checkpoint.
bool is_whole(const fs::path& path) {
  try {
    eddy::checkpoint::Checkpoint(path).verify();
    return true;
  } catch (const eddy::Error&) {
    return false;
  }
}

/// The checkpoints of a run that are whole, and the folders that have a checkpoint's name and are not.
struct Found {
  std::vector<fs::path> whole, damaged;
  explicit Found(const fs::path& dir) {
    for (const auto& entry : fs::directory_iterator(dir))
      if (entry.path().filename().string().starts_with("step-") && !entry.path().has_extension())
        (is_whole(entry.path()) ? whole : damaged).push_back(entry.path());
    std::sort(whole.begin(), whole.end());
    std::sort(damaged.begin(), damaged.end());
  }
};

struct Tally {
  int runs = 0, struck = 0, borne = 0, damaged = 0, restarts = 0;
  std::map<std::string, std::pair<int, int>> places;  // hit, drawn
};

constexpr const char* kPlaces[] = {"step", "saving", "committing", "deleting"};

/// Kinds × places, "hit/drawn", and what came of it; below which operations of the commit and of deleting were hit.
void print_table(const std::map<std::string, Tally>& tallies, const std::map<std::string, int>& operations) {
  fmt::print("{:11}", "kind");
  for (const char* place : kPlaces) fmt::print(" {:>10}", place);
  fmt::print(" {:>10} {:>6} {:>9} {:>8}\n", "hit/drawn", "borne", "restarts", "damaged");
  Tally all;
  const auto line = [](const std::string& name, const Tally& t) {
    const auto part = [](std::pair<int, int> p) { return p.second ? fmt::format("{}/{}", p.first, p.second) : "-"; };
    fmt::print("{:11}", name);
    for (const char* place : kPlaces) {
      const auto at = t.places.find(place);
      fmt::print(" {:>10}", at == t.places.end() ? "-" : part(at->second));
    }
    fmt::print(" {:>10} {:6} {:9} {:8}\n", part({t.struck, t.runs}), t.borne, t.restarts, t.damaged);
  };
  for (const auto& [name, t] : tallies) {
    line(name, t);
    all.runs += t.runs;
    all.struck += t.struck;
    all.borne += t.borne;
    all.damaged += t.damaged;
    all.restarts += t.restarts;
    for (const auto& [place, n] : t.places) {
      all.places[place].first += n.first;
      all.places[place].second += n.second;
    }
  }
  line("all", all);
  for (const auto& [operation, times] : operations) fmt::print("{:4} × {}\n", times, operation);
}

}  // namespace

TEST_CASE("whatever befalls a rank or its files, the job starts again and ends with the same bits") {
  const eddy_test::TempDir data;
  eddy_test::write_counting(data / "data", 400);
  const Job calm(data / "data");
  REQUIRE(calm.start().status == 0);
  const auto expected = calm.end();
  const auto losses = calm.losses();
  REQUIRE(expected.size() > 20);
  const char* wanted = std::getenv("EDDY_FAULT_RUNS");
  const char* from = std::getenv("EDDY_FAULT_FIRST");
  const int first = from ? std::atoi(from) : 0,
            runs = wanted ? std::atoi(wanted) : static_cast<int>(kProcess.size() + kFiles.size());
  REQUIRE(runs > 0);
  std::map<std::string, Tally> tallies;
  std::map<std::string, int> operations;  // hit in the commit and in deleting, by what they do
  int unharmed = 0;
  for (int i = first; i < first + runs; ++i) {
    const Case fault = draw(i);
    const Job job(data / "data");
    const auto hit = job.start(fault.options());
    INFO("run " << i << ", fault " << fault.kind << " in " << fault.where << " on rank " << fault.rank << ", step "
                << fault.step << ", after " << fault.after_ms << " ms, operation " << fault.operation << ", byte "
                << fault.bytes << ": exit " << hit.status << "\n"
                << hit.err);
    Tally& tally = tallies[fault.kind];
    ++tally.runs;
    const bool struck = contains(hit.err, fmt::format("fault.kind = {} on rank {}", fault.kind, fault.rank));
    if (!struck && contains(hit.err, "has not returned for")) {  // the machine is slower than the waiting kinds wait
      CHECK(fault.waits());
      ++unharmed;
    } else if (!struck) {  // so many operations there were not
      CHECK(hit.status == 0);
      CHECK(fault.where != "step");
      ++unharmed;
    } else if (hit.status == 0) {  // also a signal late in the last step, when there is nothing left to harm
      CHECK((fault.may_be_borne() || fault.kind == "slow_disk" || fault.where != "step" || fault.step == kSteps ||
             fault.after_ms > 0));
      ++tally.borne;
    } else if (fault.asks()) {
      CHECK(hit.status == 75);
    } else {
      CHECK((hit.status != 75 && hit.status != 124 && fault.kind != "slow_disk"));
    }
    tally.struck += struck;
    tally.places[fault.where].first += struck;
    ++tally.places[fault.where].second;
    if (struck && (fault.where == "committing" || fault.where == "deleting"))
      ++operations[fmt::format(
          "{}: {}", fault.where,
          std::regex_replace(operation_of(hit.err), std::regex("operation [0-9]+: |step-0*[0-9]+"), ""))];
    const Found found(job.checkpoints());
    // a data file that was lost before the commit, in the last save: nothing came to stand
    const bool missed = fault.kind == "lost_file" && hit.status == 1 && contains(hit.err, "is not there to be given");
    if (hit.status == 0 || !fault.silent() || missed)
      CHECK(found.damaged.empty());
    else
      CHECK(found.damaged.size() == 1);
    auto status = hit.status;
    for (int start = 0; status != 0 && start < 3; ++start) {  // as a cluster's queue would
      const auto again = job.start();
      INFO(again.err);
      status = again.status;
      ++tally.restarts;
      if (start > 0) continue;
      if (found.whole.empty())
        CHECK(!contains(again.err, "resuming from"));
      else
        CHECK_THAT(again.err, contains_text("resuming from " + found.whole.back().string() + " after"));
      for (const fs::path& damaged : found.damaged) {
        ++tally.damaged;
        CHECK_THAT(again.err, contains_text("checkpoint " + damaged.string() + " is damaged: " + damaged.string()));
        CHECK(fs::exists(damaged.string() + ".damaged"));
      }
    }
    CHECK(status == 0);
    const bool same = job.losses() == losses && job.end() == expected;
    CHECK(same);
    if (!wanted) continue;
    fmt::print("run {}: {} in {}, rank {}, step {}: {}, exit {}, {}\n", i, fault.kind, fault.where, fault.rank,
               fault.step, struck ? operation_of(hit.err) : "did not come to it", hit.status,
               same ? "same bits" : "OTHER BITS");
    std::fflush(stdout);
  }
  CHECK(unharmed * 3 < runs);
  for (const char* place : kPlaces) {  // what the draw promises
    int hit = 0;
    for (const auto& [kind, tally] : tallies)
      if (const auto at = tally.places.find(place); at != tally.places.end()) hit += at->second.first;
    CHECK((hit > 0 || runs < static_cast<int>(kProcess.size() + kFiles.size())));
  }
  fmt::print("runs {} to {}\n", first, first + runs - 1);
  print_table(tallies, operations);
}

TEST_CASE("a job whose copies wait on the node's disk bears what befalls them, with the same bits") {
  const eddy_test::TempDir data;
  eddy_test::write_counting(data / "data", 400);
  const Job calm(data / "data");
  REQUIRE(calm.start().status == 0);
  const auto expected = calm.end();
  const auto losses = calm.losses();
  struct Staged {
    std::string kind;
    int rank, operation;
    std::string hit, after;  // what is hit, and what is said of it
    int status;
  };
  const std::vector<Staged> cases{
      {"kill", 1, 10, "write */eddy-staging.", "", 137},         // while the copy is made
      {"kill", 1, 150, "write */data-00000.h5", "", 137},        // while it is drained
      {"torn_write", 2, 160, "write */data-00001.h5", "", 137},  // the same
      {"io_error", 3, 10, "write */eddy-staging.", "cannot take this rank's copy", 0},
      {"bit_flip", 1, 20, "write */eddy-staging.", "the copy that waited in", 0},
  };
  for (const Staged& c : cases) {
    const Job job(data / "data");
    const eddy_test::TempDir staging;
    const std::string option = "--checkpoint.staging=" + (staging / "own").string();
    const auto hit =
        job.start({option, "--fault.where=saving", "--fault.kind=" + c.kind, "--fault.step=3",
                   "--fault.rank=" + std::to_string(c.rank), "--fault.operation=" + std::to_string(c.operation)});
    INFO(c.kind << " at operation " << c.operation << "\n" << hit.err);
    const auto star = c.hit.find('*');
    const std::string struck = operation_of(hit.err);
    CHECK(struck.find(c.hit.substr(0, star)) != std::string::npos);
    CHECK(struck.find(c.hit.substr(star + 2)) != std::string::npos);
    CHECK(contains(hit.err, c.after));
    CHECK(hit.status == c.status);
    CHECK(Found(job.checkpoints()).damaged.empty());
    CHECK(fs::directory_iterator(staging / "own") ==
          fs::directory_iterator());  // nothing is left, after a kill neither
    if (hit.status != 0) {
      const auto again = job.start({option});
      INFO(again.err);
      CHECK(contains(again.err, "step-00000002 after"));
      CHECK(again.status == 0);
    }
    CHECK((job.losses() == losses && job.end() == expected));
  }
}

TEST_CASE("the only checkpoint without its manifest is refused by name, and not begun over") {
  const eddy_test::TempDir data;
  eddy_test::write_counting(data / "data", 400);
  const Job job(data / "data");
  const auto hit = job.start({"--fault.kind=lost_node", "--fault.rank=0", "--fault.step=2"});
  CHECK((hit.status != 0 && hit.status != 75));
  CHECK_THAT(hit.err, contains_text("fault.kind = lost_node on rank 0"));
  const auto again = job.start();
  CHECK(again.status == 2);
  CHECK_THAT(again.err, contains_text("step-00000002/manifest.json is missing"));
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
  const auto written = job.start({"--fault.kind=torn_write", "--fault.where=deleting"});
  CHECK(written.status == 2);
  CHECK_THAT(written.err, contains_text("fault.where = saving"));
  const auto other = job.start({"--fault.kind=kill", "--fault.where=deleting", "--fault.rank=1"});
  CHECK(other.status == 2);
  CHECK_THAT(other.err, contains_text("fault.rank = 0"));
  const auto commits = job.start({"--fault.kind=kill", "--fault.where=committing", "--fault.rank=1"});
  CHECK(commits.status == 2);
  CHECK_THAT(commits.err, contains_text("fault.rank = 0"));
}
