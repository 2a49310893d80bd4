// Saving while the blocks change: what is saved is what they were; failures reach every rank and leave what was there.
#include <condition_variable>
#include <mutex>

#include "base/error.h"
#include "blocks.h"
#include "catch.h"
#include "checkpoint/saver.h"
#include "io/file_system.h"
#include "refusal.h"
#include "support.h"
#include "world.h"

using namespace eddy;
using namespace eddy_test;
namespace fs = std::filesystem;

namespace {

/// The disk, whose writes wait until they are let through, or fail.
class Gate final : public io::FileSystem {
 public:
  bool closed = true, broken = false;
  void open_gate() {
    const std::lock_guard lock(mutex_);
    closed = false;
    changed_.notify_all();
  }
  std::unique_ptr<io::OutputFile> open(const fs::path& path, bool direct) override {
    return std::make_unique<File>(*this, io::disk().open(path, direct));
  }
  void make_folder(const fs::path& path) override { io::disk().make_folder(path); }
  void rename(const fs::path& from, const fs::path& to) override { io::disk().rename(from, to); }
  bool exchange(const fs::path& a, const fs::path& b) override { return io::disk().exchange(a, b); }
  void remove(const fs::path& path) override { io::disk().remove(path); }
  void sync_folder(const fs::path& path) override { io::disk().sync_folder(path); }

 private:
  struct File final : io::OutputFile {
    File(Gate& g, std::unique_ptr<io::OutputFile> f) : gate(g), file(std::move(f)) {}
    void write_at(const void* data, std::size_t bytes, std::uint64_t offset) override {
      std::unique_lock lock(gate.mutex_);
      gate.changed_.wait(lock, [&] { return !gate.closed; });
      if (gate.broken) fail_run("the disk is broken");
      file->write_at(data, bytes, offset);
    }
    void reserve(std::uint64_t bytes) override { file->reserve(bytes); }
    void sync() override { file->sync(); }
    void close() override { file->close(); }
    Gate& gate;
    std::unique_ptr<io::OutputFile> file;
  };
  std::mutex mutex_;
  std::condition_variable changed_;
};

constexpr std::int64_t kRows = 300, kColumns = 1001;

/// This rank's rows of a matrix of more than one piece.
Block rows() {
  const auto [first, last] = part(kRows, world().rank(), world().size());
  return make_block("model/x", Dtype::f32, {kRows, kColumns}, {first, 0}, {last - first, kColumns});
}
void set(Block& b, int value) {
  for (std::int64_t i = 0; i < b.slice.view.numel(); ++i) put(b.slice.view, i, value + static_cast<int>(i % 7));
}

checkpoint::Saver::Job job(const fs::path& path, const Block& block, Gate& gate, int step) {
  checkpoint::Saver::Job j;
  j.dir = path;
  j.meta = {{"step", step}};
  j.owned = {block.slice};
  j.options.files = &gate;
  j.options.ranks_per_file = 2;
  return j;
}

/// What the ranks say to each other at the end of a step.
checkpoint::Saver::Local together(const checkpoint::Saver& saver) {
  const auto mine = saver.local();
  std::int32_t any[2] = {mine.busy, mine.failed};
  world().all_reduce(any, 2, Dtype::i32, comm::Reduce::max);
  return {any[0] != 0, any[1] != 0};
}
bool step(checkpoint::Saver& saver) {
  const auto any = together(saver);
  return saver.advance(any.busy, any.failed);
}

}  // namespace

TEST_CASE("parameters change while they are written: the saved ones are found, save after save") {
  const SharedDir dir;
  checkpoint::Saver saver(world());
  Block block = rows(), got = rows(), wanted = rows();
  for (const int value : {1, 50}) {  // the second save has plan and memory of the first
    Gate gate;
    set(block, value);
    saver.begin(job(dir / "c", block, gate, value));
    CHECK(saver.active());
    saver.wait_for_copy();
    for (int i = 0; i < 3; ++i) {  // steps: nothing gets to the disk, and nobody waits for it
      set(block, value + 90 + i);
      CHECK_FALSE(step(saver));
      CHECK(together(saver).busy);
    }
    gate.open_gate();
    int steps = 0;
    while (!step(saver)) set(block, 200 + ++steps % 8);
    CHECK_FALSE(saver.active());
    world().barrier();
    const checkpoint::Checkpoint saved(dir / "c");
    CHECK(saved.meta().at("step") == value);
    saved.verify();
    saved.read(got.slice);
    set(wanted, value);
    CHECK(same_bytes(got, wanted));
    CHECK(saver.bytes() == block.slice.view.bytes());
    CHECK(saver.write_seconds() > 0);
    CHECK(saver.copy_bytes() >= block.slice.view.bytes());
    world().barrier();
  }
}

TEST_CASE("a second save is refused while one is under way; waiting ends it") {
  const SharedDir dir;
  Gate gate;
  checkpoint::Saver saver(world());
  Block block = rows();
  set(block, 1);
  saver.begin(job(dir / "c", block, gate, 1));
  CHECK(lacks(refusal([&] { saver.begin(job(dir / "d", block, gate, 2)); }, Exit::failed), {"being saved"}) == "");
  gate.open_gate();
  saver.wait();
  CHECK_FALSE(saver.active());
  CHECK(checkpoint::is_checkpoint(dir / "c"));
  world().barrier();
}

TEST_CASE("a rank whose thread fails ends the save on all, what was there stays, and the next save succeeds") {
  const SharedDir dir;
  const int last = world().size() - 1;
  checkpoint::Saver saver(world());
  Block block = rows(), got = rows(), wanted = rows();
  Gate gate;
  gate.open_gate();
  set(block, 1);
  saver.begin(job(dir / "c", block, gate, 1));
  saver.wait();
  gate.broken = world().rank() == last;
  set(block, 2);
  saver.begin(job(dir / "c", block, gate, 2));
  saver.wait_for_copy();
  const std::string said = refusal(
      [&] {
        for (;;)
          if (step(saver)) return;
      },
      Exit::failed);
  CHECK(lacks(said, {"the disk is broken", last ? "(rank " + std::to_string(last) + ")" : ""}) == "");
  CHECK_FALSE(saver.active());
  world().barrier();
  CHECK_FALSE(fs::exists(dir / "c.tmp"));
  CHECK(checkpoint::Checkpoint(dir / "c").meta().at("step") == 1);
  world().barrier();
  gate.broken = false;
  saver.begin(job(dir / "c", block, gate, 2));
  saver.wait();
  world().barrier();
  checkpoint::Checkpoint(dir / "c").read(got.slice);
  set(wanted, 2);
  CHECK(same_bytes(got, wanted));
  world().barrier();
}
