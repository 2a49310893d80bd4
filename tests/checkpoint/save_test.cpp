// Saving from 1, 2 and 4 ranks: what any layout wrote, into however many files, reads back in any other; a failure on
// one rank ends all, and leaves what was there.
#include <sys/mount.h>
#include <sys/resource.h>

#include <csignal>

#include "base/error.h"
#include "blocks.h"
#include "catch.h"
#include "checkpoint/checkpoint.h"
#include "io/hdf5.h"
#include "refusal.h"
#include "support.h"
#include "world.h"

using namespace eddy;
using namespace eddy_test;
namespace fs = std::filesystem;

namespace {

enum class Cut { rows, columns, last_rank };

/// This rank's blocks of three matrices (one of several checksum pieces), a vector and an empty tensor.
std::vector<Block> blocks(Cut cut, bool filled = true) {
  const int rank = world().rank(), size = world().size();
  std::vector<Block> out;
  const auto matrix = [&](const std::string& name, Dtype dtype, std::int64_t rows, std::int64_t cols) {
    const auto [r0, r1] = cut == Cut::rows
                              ? part(rows, rank, size)
                              : std::pair{std::int64_t{0}, rank == size - 1 || cut == Cut::columns ? rows : 0};
    const auto [c0, c1] = cut == Cut::columns ? part(cols, rank, size) : std::pair{std::int64_t{0}, cols};
    out.push_back(make_block(name, dtype, {rows, cols}, {r0, c0}, {r1 - r0, c1 - c0}));
  };
  matrix("model/large.weight", Dtype::f32, 700, 1001);  // 2.7 pieces of 1 MiB
  matrix("model/half.weight", Dtype::bf16, 13, 7);
  matrix("optim.m/large.weight", Dtype::f32, 9, 5);
  if (rank == 0) out.push_back(make_block("sampler/position", Dtype::i64, {3}, {0}, {3}));
  if (rank == size - 1) out.push_back(make_block("bytes", Dtype::u8, {5}, {0}, {5}));
  out.push_back(make_block("empty", Dtype::f32, {0, 4}, {0, 0}, {0, 4}));
  if (filled)
    for (Block& b : out) fill(b);
  return out;
}

std::vector<tensor::Slice> slices(const std::vector<Block>& blocks) {
  std::vector<tensor::Slice> out;
  for (const Block& b : blocks) out.push_back(b.slice);
  return out;
}

int mismatches(const checkpoint::Checkpoint& saved, Cut cut) {
  const auto wanted = blocks(cut);
  auto got = blocks(cut, false);
  int bad = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    saved.read(got[i].slice);
    bad += !same_bytes(got[i], wanted[i]);
  }
  return bad;
}

}  // namespace

TEST_CASE("any layout reads what any other wrote, into one file or several; the same layout writes the same bytes") {
  const SharedDir dir;
  for (const int ranks_per_file : {1, 3, 8})
    for (const Cut cut : {Cut::rows, Cut::columns, Cut::last_rank}) {
      const auto mine = blocks(cut);
      checkpoint::SaveOptions options;
      options.ranks_per_file = ranks_per_file;
      options.direct = ranks_per_file != 3;
      std::string manifests[2];
      for (const int again : {0, 1}) {
        const fs::path path = dir / "c";
        checkpoint::save(world(), path, {{"step", 7}}, slices(mine), options);
        const checkpoint::Checkpoint saved(path);
        CHECK(saved.meta() == nlohmann::json{{"step", 7}});
        CHECK(saved.tensors().size() == 6);
        CHECK(saved.entry("model/half.weight").dtype == Dtype::bf16);
        saved.verify();
        for (const Cut other : {Cut::rows, Cut::columns, Cut::last_rank}) CHECK(mismatches(saved, other) == 0);
        manifests[again] = read_file(path / "manifest.json");
        world().barrier();
      }
      CHECK(manifests[0] == manifests[1]);
      const int files = (world().size() + ranks_per_file - 1) / ranks_per_file;
      const auto stated = nlohmann::json::parse(manifests[0]).at("files");
      REQUIRE(stated.size() == static_cast<std::size_t>(files));
      CHECK(stated[0].at("name") == (files == 1 ? "data.h5" : "data-00000.h5"));
    }
}

TEST_CASE("of several files each is watched: altered, cut off or missing, it is named and not loaded") {
  const SharedDir dir;
  const auto mine = blocks(Cut::rows);
  checkpoint::SaveOptions options;
  options.ranks_per_file = 1;
  checkpoint::save(world(), dir / "c", {}, slices(mine), options);
  if (world().rank() == 0)
    for (int f = 0; f < world().size(); ++f) {
      const std::string name = world().size() == 1 ? "data.h5" : "data-0000" + std::to_string(f) + ".h5";
      const fs::path path = dir / "c" / name;
      const std::string good = read_file(path);
      const auto complaint = [&] {
        return refusal([&] { checkpoint::Checkpoint(dir / "c").verify(); }, Exit::unusable);
      };
      for (const std::size_t at : {std::size_t{30}, good.size() / 2, good.size() - 1}) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ 4);
        write_file(path, bad);
        CHECK(lacks(complaint(), {name}) == "");
      }
      write_file(path, good.substr(0, good.size() - 1));
      CHECK(lacks(complaint(), {name}) == "");
      fs::remove(path);
      CHECK(lacks(complaint(), {name}) == "");
      write_file(path, good);
      CHECK_NOTHROW(checkpoint::Checkpoint(dir / "c").verify());
    }
  world().barrier();
}

TEST_CASE("the data file is plain HDF5") {
  const SharedDir dir;
  const auto mine = blocks(Cut::rows);  // those of several ranks follow one another: one dataset
  checkpoint::save(world(), dir / "c", {}, slices(mine));
  const io::H5File file = io::H5File::open(dir / "c" / "data.h5");
  const auto dataset = file.root().group("optim.m").dataset("large.weight");
  CHECK(dataset.shape() == std::vector<std::uint64_t>{9, 5});
  const auto values = dataset.read_all<float>();
  int bad = 0;
  for (std::size_t i = 0; i < values.size(); ++i)
    bad += values[i] != static_cast<float>(element("optim.m/large.weight", static_cast<std::int64_t>(i)));
  CHECK(bad == 0);
  CHECK(file.root().group("model").dataset("half.weight").read_string("dtype") == "bf16");
  if (world().size() != 2) return;
  const auto cut = blocks(Cut::columns);  // these do not: a dataset each, named by its first element
  world().barrier();
  checkpoint::save(world(), dir / "d", {}, slices(cut));
  const io::H5File second = io::H5File::open(dir / "d" / "data.h5");
  const auto half = second.root().group("optim.m").dataset("large.weight@0,2");
  CHECK(half.shape() == std::vector<std::uint64_t>{9, 3});
  CHECK(half.read_all<float>()[4] == static_cast<float>(element("optim.m/large.weight", 8)));
}

TEST_CASE("stored bf16 is widened for an f32 block; other dtypes, shapes and names are refused") {
  const SharedDir dir;
  const auto mine = blocks(Cut::rows);
  checkpoint::save(world(), dir / "c", {}, slices(mine));
  const checkpoint::Checkpoint saved(dir / "c");
  Block wide = make_block("model/half.weight", Dtype::f32, {13, 7}, {3, 2}, {5, 4}),
        expected = make_block("model/half.weight", Dtype::f32, {13, 7}, {3, 2}, {5, 4});
  fill(expected);
  saved.read(wide.slice);
  CHECK(same_bytes(wide, expected));
  Block narrow = make_block("optim.m/large.weight", Dtype::bf16, {9, 5}, {0, 0}, {9, 5});
  CHECK(lacks(refusal([&] { saved.read(narrow.slice); }), {"optim.m/large.weight", "f32", "bf16"}) == "");
  Block other = make_block("optim.m/large.weight", Dtype::f32, {5, 9}, {0, 0}, {5, 9});
  CHECK(lacks(refusal([&] { saved.read(other.slice); }), {"optim.m/large.weight", "[9,5]", "[5,9]"}) == "");
  Block absent = make_block("optim.v/large.weight", Dtype::f32, {9, 5}, {0, 0}, {9, 5});
  CHECK(lacks(refusal([&] { saved.read(absent.slice); }), {"optim.v/large.weight"}) == "");
}

TEST_CASE("blocks made when their turn comes, attachments") {
  const SharedDir dir;
  auto mine = blocks(Cut::rows);
  auto owned = slices(mine);
  for (auto& s : owned) s.view.data = nullptr;
  checkpoint::SaveOptions options;
  options.fill = [&](std::size_t i, void* buffer) {
    std::memcpy(buffer, mine[i].slice.view.data, mine[i].slice.view.bytes());
  };
  std::uint64_t told = 0;
  options.progress = [&](std::uint64_t bytes) { told = bytes; };
  if (world().rank() == 0) write_file(dir / "tokenizer.json", "{}");
  options.attachments = {dir / "tokenizer.json"};
  checkpoint::save(world(), dir / "c", {}, owned, options);
  const checkpoint::Checkpoint saved(dir / "c");
  saved.verify();
  CHECK(mismatches(saved, Cut::columns) == 0);
  REQUIRE(saved.attachments().size() == 1);
  CHECK(read_file(saved.attachments()[0]) == "{}");
  std::uint64_t bytes = 0;
  for (const auto& s : owned) bytes += s.view.bytes();
  CHECK(told == bytes);
}

TEST_CASE("a checkpoint is replaced whole; anything else is not overwritten") {
  const SharedDir dir;
  const auto mine = blocks(Cut::rows);
  checkpoint::save(world(), dir / "c", {{"step", 1}}, slices(mine));
  world().barrier();
  checkpoint::save(world(), dir / "c", {{"step", 2}}, slices(mine));
  CHECK(checkpoint::Checkpoint(dir / "c").meta()["step"] == 2);
  CHECK_FALSE(fs::exists(dir / "c.tmp"));
  if (world().rank() == 0) {
    fs::create_directory(dir / "mine");
    write_file(dir / "mine/thesis.tex", "x");
  }
  world().barrier();
  CHECK(lacks(refusal([&] { checkpoint::save(world(), dir / "mine", {}, slices(mine)); }), {"mine", "no checkpoint"}) ==
        "");
  CHECK(read_file(dir / "mine/thesis.tex") == "x");
}

TEST_CASE("a rank that fails ends all ranks with its message, and the previous checkpoint stays") {
  const SharedDir dir;
  const int last = world().size() - 1;
  const auto mine = blocks(Cut::rows);
  checkpoint::save(world(), dir / "c", {{"step", 1}}, slices(mine));
  auto owned = slices(mine);
  if (world().rank() == last) owned[0].view.data = nullptr;
  checkpoint::SaveOptions options;
  options.fill = [](std::size_t, void*) { fail_run("the device is gone"); };
  const std::string who = last ? "(rank " + std::to_string(last) + ")" : "";
  CHECK(lacks(refusal(
                  [&] {
                    checkpoint::save(world(), dir / "c", {{"step", 2}}, owned, options);
                  },
                  Exit::failed),
              {"the device is gone", who}) == "");
  world().barrier();
  CHECK_FALSE(fs::exists(dir / "c.tmp"));
  const checkpoint::Checkpoint saved(dir / "c");
  CHECK(saved.meta()["step"] == 1);
  saved.verify();
}

TEST_CASE("elements owned twice or by nobody, and contradicting ranks, are refused on every rank") {
  const SharedDir dir;
  const bool alone = world().size() == 1;
  auto missing = make_block("x", Dtype::f32, {6}, {world().rank()}, {1});
  CHECK(lacks(refusal([&] { checkpoint::save(world(), dir / "c", {}, {missing.slice}); }, Exit::failed),
              {"'x'", "has 6"}) == "");
  // each rank owns the same half of a large tensor: the count is right, the piece hashes show it
  if (world().size() == 2) {
    auto twice = make_block("x", Dtype::f32, {2, 1 << 20}, {0, 0}, {1, 1 << 20});
    fill(twice);
    CHECK(lacks(refusal([&] { checkpoint::save(world(), dir / "c", {}, {twice.slice}); }, Exit::failed),
                {"'x'", "own the same"}) == "");
  }
  auto differs = make_block("x", world().rank() ? Dtype::bf16 : Dtype::f32, {world().size()}, {world().rank()}, {1});
  fill(differs);
  if (!alone)
    CHECK(lacks(refusal([&] { checkpoint::save(world(), dir / "c", {}, {differs.slice}); }, Exit::failed),
                {"'x'", "rank 1"}) == "");
  for (const std::string name : {"", "/x", "x/", "a/b/c", "checksums", "../x", ".", "x@0"}) {
    auto bad = make_block(name, Dtype::f32, {world().size()}, {world().rank()}, {1});
    fill(bad);
    CHECK(lacks(refusal([&] { checkpoint::save(world(), dir / "c", {}, {bad.slice}); }, Exit::failed),
                {"'" + name + "'"}) == "");
  }
  CHECK(fs::is_empty(dir / ""));
}

TEST_CASE("a full disk: every rank is told, the previous checkpoint stays usable") {
  const SharedDir dir;
  const fs::path disk = dir / "disk";
  if (world().rank() == 0) fs::create_directory(disk);
  // a small file system of its own where the test may mount one, else a limit on file size (all but rank 0: it
  // reserves)
  std::int32_t mounted = world().rank() == 0 ? mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=4m") == 0 : 0;
  world().broadcast(&mounted, 1, Dtype::i32, 0);
  const auto small = make_block("x", Dtype::f32, {world().size()}, {world().rank()}, {1});
  checkpoint::save(world(), disk / "step-00000001", {{"step", 1}}, {small.slice});
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{}, tight{};
  getrlimit(RLIMIT_FSIZE, &before);
  tight = before;
  tight.rlim_cur = 1 << 20;
  if (!mounted) setrlimit(RLIMIT_FSIZE, &tight);
  const auto mine = blocks(Cut::rows), more = blocks(Cut::columns);
  auto owned = slices(mine);
  for (auto s : slices(more)) {
    if (s.name == "empty") continue;
    s.name = "again." + s.name;
    owned.push_back(s);
  }
  const std::string said = refusal(
      [&] {
        checkpoint::save(world(), disk / "step-00000002", {{"step", 2}}, owned);
      },
      Exit::failed);
  setrlimit(RLIMIT_FSIZE, &before);
  CHECK(lacks(said, {"step-00000002.tmp/data.h5", mounted ? "No space left" : "File too large"}) == "");
  world().barrier();
  REQUIRE(checkpoint::list(disk).size() == 1);
  const checkpoint::Checkpoint previous(checkpoint::list(disk)[0]);
  CHECK(previous.meta()["step"] == 1);
  previous.verify();
  CHECK_FALSE(fs::exists(disk / "step-00000002.tmp"));
  world().barrier();
  if (mounted && world().rank() == 0) umount2(disk.c_str(), MNT_DETACH);
}
