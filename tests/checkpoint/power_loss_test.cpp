// The power goes at every operation of a save, and of the deletion after it: what is there afterwards is the old
// checkpoint or the new one, whole.
#include <map>

#include "../io/power_loss.h"
#include "base/error.h"
#include "base/log.h"
#include "blocks.h"
#include "catch.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/saver.h"
#include "comm/self_communicator.h"

using namespace eddy;
using namespace eddy_test;
namespace fs = std::filesystem;
using Kept = PowerLoss::Kept;

namespace {

/// A run's folder with checkpoints of step 1, and then 2 by a save that deletes 1.
struct Disk {
  TempDir dir, elsewhere;
  PowerLoss files;
  explicit Disk(bool deaf = false) : files(dir.path(), deaf) {
    log::configure(0, 1, log::Level::error);  // not every old checkpoint that outlives the power
    write_file(elsewhere / "tokenizer.json", "{}");
  }

  static Block block(int step) {
    Block b = make_block("model/x", Dtype::f32, {600, 500}, {0, 0}, {600, 500});
    for (std::int64_t i = 0; i < b.slice.view.numel(); ++i) put(b.slice.view, i, static_cast<int>(i % 100) + step);
    return b;
  }
  void save(int step, const fs::path& path) {
    const auto world = comm::self_communicator("world");
    const Block b = block(step);
    checkpoint::Saver saver(*world);
    checkpoint::Saver::Job job;
    job.dir = path;
    job.meta = {{"step", step}};
    job.owned = {b.slice};
    job.options.files = &files;
    job.options.threads = 1;
    job.options.attachments = {elsewhere / "tokenizer.json"};
    job.committed = [&] { checkpoint::prune(dir.path(), {1, 0, path}, &files); };
    saver.begin(std::move(job));
    saver.wait();
  }
  /// The step whose state the newest checkpoint holds, whole; 0: none, -1: damaged.
  int newest() const {
    const auto all = checkpoint::list(dir.path());
    if (all.empty()) return 0;
    try {
      const checkpoint::Checkpoint saved(all.back());
      saved.verify();
      Block got = block(0);
      saved.read(got.slice);
      const int step = saved.meta().at("step").get<int>();
      return same_bytes(got, block(step)) ? step : -1;
    } catch (const Error&) {
      return -1;
    }
  }
};

/// Loses power at every operation of saving step 2 to `path`; counts what is left by the newest checkpoint's step.
std::map<int, int> lose_at_every_operation(const std::string& name, Kept kept, bool deaf = false) {
  std::map<int, int> left;
  for (std::uint64_t operation = 0;; ++operation) {
    Disk disk(deaf);
    disk.save(1, disk.dir / "step-00000001");
    disk.files.lose_at(operation);
    try {
      disk.save(2, disk.dir / name);
    } catch (const Error& e) {
      REQUIRE(std::string(e.what()).find("the power is gone") != std::string::npos);
    }
    const bool lost = disk.files.lost();
    disk.files.restore(kept);
    ++left[disk.newest()];
    if (!lost) return left;
  }
}

}  // namespace

TEST_CASE("after a loss of power at any operation there is the old checkpoint or the new one") {
  for (const Kept kept : {Kept::nothing, Kept::contents, Kept::names, Kept::all, Kept::some})
    for (const std::string name : {"step-00000002", "step-00000001"}) {  // beside the old one, and in its place
      CAPTURE(static_cast<int>(kept), name);
      const auto left = lose_at_every_operation(name, kept);
      CHECK(left.size() == 2);
      CHECK(left.count(1) == 1);
      CHECK(left.count(2) == 1);
      int operations = 0;
      for (const auto& [step, times] : left) operations += times;
      CHECK(operations > 15);
    }
}

TEST_CASE("on a disk that does not sync, the same test finds losses") {
  const auto left = lose_at_every_operation("step-00000002", Kept::names, true);
  CHECK(left.count(-1) + left.count(0) > 0);
}
