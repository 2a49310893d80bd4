// Copies that wait on the node's own disk: what is saved is what the blocks were, whatever befalls the folder.
#include <unistd.h>

#include <atomic>

#include "../io/fake_lustre.h"
#include "base/error.h"
#include "base/log.h"
#include "base/process.h"
#include "blocks.h"
#include "catch.h"
#include "checkpoint/saver.h"
#include "io/faulty_file_system.h"
#include "refusal.h"
#include "world.h"

using namespace eddy;
using namespace eddy_test;
namespace fs = std::filesystem;

namespace {

/// This rank's rows of matrices of many pieces, of less than one, and of none.
struct State {
  std::vector<Block> blocks;
  State() {
    for (const auto& [name, rows, columns] : {std::tuple{"model/large", 2000, 5001},
                                              {"model/odd", 17, 3},
                                              {"optim.m/x", 1100, 1000},
                                              {"model/none", 0, 4}}) {
      const auto [first, last] = part(rows, world().rank(), world().size());
      blocks.push_back(make_block(name, Dtype::f32, {rows, columns}, {first, 0}, {last - first, columns}));
    }
  }
  void set(int value) {
    for (Block& b : blocks)
      for (std::int64_t i = 0; i < b.slice.view.numel(); ++i) put(b.slice.view, i, value + static_cast<int>(i % 11));
  }
  std::vector<tensor::Slice> slices() const {
    std::vector<tensor::Slice> out;
    for (const Block& b : blocks) out.push_back(b.slice);
    return out;
  }
  bool equals(const fs::path& checkpoint) const {
    const checkpoint::Checkpoint saved(checkpoint);
    saved.verify();
    const State got;
    for (const Block& b : got.blocks) saved.read(b.slice);
    for (std::size_t i = 0; i < blocks.size(); ++i)
      if (!same_bytes(blocks[i], got.blocks[i])) return false;
    return true;
  }
};

checkpoint::Saver::Job job(const fs::path& path, const State& state, const fs::path& staging,
                           io::FileSystem* files = nullptr) {
  checkpoint::Saver::Job j;
  j.dir = path;
  j.owned = state.slices();
  j.options.staging = staging;
  j.options.files = files;
  j.options.ranks_per_file = 2;
  j.options.threads = 3;
  return j;
}

/// Lines of the log that say so; log::also_to(file) is on.
int said(const fs::path& log, const std::string& what) {
  const std::string text = read_file(log);
  int n = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE("a staged copy is what the blocks were, save after save, and leaves nothing") {
  const SharedDir dir;
  const fs::path staging = dir / "staging";  // the ranks of a node share it
  if (world().rank() == 0) fs::create_directory(staging);
  world().barrier();
  checkpoint::Saver saver(world());
  State state;
  for (const bool direct : {true, false}) {
    const int value = direct ? 1 : 60;
    state.set(value);
    auto j = job(dir / "c", state, staging);
    j.options.direct = direct;
    saver.begin(std::move(j));
    saver.wait_for_copy();
    world().barrier();
    CHECK(fs::is_empty(staging));  // the files have no names
    world().barrier();
    state.set(200);
    saver.wait();
    world().barrier();
    state.set(value);
    CHECK(state.equals(dir / "c"));
    CHECK(saver.stage_seconds() > 0);
    CHECK(saver.write_seconds() > 0);
    CHECK(saver.copy_bytes() == 0);  // of host memory
    world().barrier();
  }
}

TEST_CASE("the folder may go while the copy waits, and the next save does without it") {
  const SharedDir dir;
  const TempDir temp;
  const fs::path staging = temp / "staging", log = temp / "log";
  fs::create_directory(staging);
  checkpoint::Saver saver(world());
  State state;
  state.set(1);
  saver.begin(job(dir / "c", state, staging));
  saver.wait_for_copy();
  fs::remove_all(staging);
  state.set(2);
  saver.wait();
  world().barrier();
  state.set(1);
  CHECK(state.equals(dir / "c"));
  log::also_to(log.string());
  for (int value = 3; value < 5; ++value) {
    state.set(value);
    saver.begin(job(dir / "c", state, staging));
    saver.wait_for_copy();
    state.set(9);
    saver.wait();
    world().barrier();
    state.set(value);
    CHECK(state.equals(dir / "c"));
    CHECK(saver.stage_seconds() == 0);
  }
  CHECK(said(log, "cannot take this rank's copy") == 1);  // once in a row
  fs::create_directory(staging);
  saver.begin(job(dir / "c", state, staging));
  saver.wait();
  CHECK(saver.stage_seconds() > 0);
  log::also_to("");
  world().barrier();
}

TEST_CASE("a folder that is full is done without") {
  /// The disk, but for what is staged: there is room for the names only.
  class Full final : public io::FileSystem {
   public:
    explicit Full(fs::path folder, bool reserves) : folder_(std::move(folder)), reserves_(reserves) {}
    std::unique_ptr<io::OutputFile> open(const fs::path& path, bool direct) override {
      return std::make_unique<File>(io::disk().open(path, direct), path.parent_path() == folder_, reserves_);
    }
    void make_folder(const fs::path& path) override { io::disk().make_folder(path); }
    void rename(const fs::path& a, const fs::path& b) override { io::disk().rename(a, b); }
    bool exchange(const fs::path& a, const fs::path& b) override { return io::disk().exchange(a, b); }
    void remove(const fs::path& path) override { io::disk().remove(path); }
    void sync_folder(const fs::path& path) override { io::disk().sync_folder(path); }

   private:
    struct File final : io::OutputFile {
      File(std::unique_ptr<io::OutputFile> f, bool is_full, bool reserves)
          : file(std::move(f)), full(is_full), fails_late(reserves) {}
      void write_at(const void* data, std::size_t bytes, std::uint64_t offset) override {
        if (full && ++writes > 2) fail_run("cannot write: No space left on device");
        file->write_at(data, bytes, offset);
      }
      void reserve(std::uint64_t bytes) override {
        if (full && !fails_late) fail_run("cannot reserve: No space left on device");
        file->reserve(bytes);
      }
      void sync() override { file->sync(); }
      void close() override { file->close(); }
      std::unique_ptr<io::OutputFile> file;
      bool full, fails_late;
      std::atomic<int> writes = 0;
    };
    fs::path folder_;
    bool reserves_;
  };
  for (const bool late : {false, true}) {
    const SharedDir dir;
    const TempDir temp;
    const fs::path staging = temp / "staging", log = temp / "log";
    fs::create_directory(staging);
    log::also_to(log.string());
    Full files(staging, late);
    checkpoint::Saver saver(world());
    State state;
    state.set(4);
    saver.begin(job(dir / "c", state, staging, world().rank() == 0 ? &files : nullptr));
    saver.wait_for_copy();
    state.set(5);
    saver.wait();
    log::also_to("");
    world().barrier();
    state.set(4);
    CHECK(state.equals(dir / "c"));
    CHECK(said(log, "No space left on device") == (world().rank() == 0));  // the other ranks' nodes have room
    CHECK((saver.stage_seconds() > 0) == (world().rank() != 0));
    CHECK(fs::is_empty(staging));
    world().barrier();
  }
}

TEST_CASE("a bit that turns on the node's disk is found before the checkpoint has its name") {
  const SharedDir dir;
  const TempDir staging;
  State state;
  state.set(1);
  io::FaultyFileSystem::Plan plan{io::FileFault::bit_flip, 5, 4321, 0, {}, {}};  // the second write or so
  io::FaultyFileSystem files(io::disk(), plan);
  checkpoint::Saver saver(world());
  const int last = world().size() - 1;
  files.count(world().rank() == last);
  saver.begin(job(dir / "c", state, staging.path(), &files));
  saver.wait_for_copy();
  const std::string text = refusal([&] { saver.wait(); }, Exit::failed);
  CHECK(lacks(text, {"the copy that waited in " + (last == 0 ? staging.path().string() : ""), "tensor '",
                     "is damaged"}) == "");
  world().barrier();
  CHECK_FALSE(fs::exists(dir / "c"));
  CHECK_FALSE(fs::exists(dir / "c.tmp"));
  files.count(false);
  saver.begin(job(dir / "c", state, staging.path(), &files));
  saver.wait();
  world().barrier();
  CHECK(state.equals(dir / "c"));
  world().barrier();
}

TEST_CASE("what a dead process of this host left is removed, what a live one has is not") {
  const SharedDir dir;
  const TempDir staging;
  const ProcessId self = this_process();
  const auto name = [&](const std::string& host, std::int64_t pid, std::uint64_t started) {
    return staging / fmt::format("eddy-staging.{}.{}.{}", host, pid, started);
  };
  const auto dead = name(self.host, self.pid, self.started + 1), live = name(self.host, getppid(), 0),
             foreign = name("another-host", 1, 1), other = staging / "results.csv";
  for (const auto& path : {dead, live, foreign, other}) write_file(path, "x");
  checkpoint::Saver saver(world());
  State state;
  state.set(1);
  saver.begin(job(dir / "c", state, staging.path()));
  saver.wait();
  CHECK_FALSE(fs::exists(dead));
  for (const auto& path : {live, foreign, other}) CHECK(fs::exists(path));
  world().barrier();
}

TEST_CASE("a checkpoint's folder is striped before anything is in it") {
  const SharedDir dir;
  const FakeLfs lfs;
  FakeLustre files;
  checkpoint::Saver saver(world());
  State state;
  state.set(1);
  auto j = job(dir / "c", state, {}, &files);
  j.options.stripes = {-1, 4 << 20};
  saver.begin(std::move(j));
  saver.wait();
  CHECK(lfs.calls() ==
        (world().rank() == 0 ? fmt::format("setstripe -c -1 -S 4194304 {}\n", (dir / "c.tmp").string()) : ""));
  world().barrier();
  CHECK(state.equals(dir / "c"));
  world().barrier();
}
