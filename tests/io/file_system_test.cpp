// What a save does to a disk, and HDF5's records laid out in memory.
#include "io/file_system.h"

#include <sys/resource.h>

#include <csignal>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "catch.h"
#include "io/hdf5.h"
#include "refusal.h"
#include "support.h"

using namespace eddy;
using namespace eddy_test;
namespace fs = std::filesystem;

TEST_CASE("bytes written at any place by several threads, past the page cache or not, are the file's") {
  const TempDir dir;
  constexpr std::size_t kBytes = (5 << 20) + 12345, kPart = 700001;  // parts begin at no page, nor do their memory's
  std::vector<char> data(kBytes + 1);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 31 + i / 257);
  for (const bool direct : {false, true})
    for (const std::size_t shift : {0u, 1u}) {
      const auto file = io::disk().open(dir / "f", direct);
      file->reserve(kBytes);
      parallel_for(3, (kBytes + kPart - 1) / kPart, [&](std::size_t i) {
        file->write_at(data.data() + shift + i * kPart, std::min(kPart, kBytes - i * kPart), i * kPart);
      });
      file->sync();
      file->close();
      CHECK(read_file(dir / "f") == std::string(data.data() + shift, kBytes));
    }
}

TEST_CASE("failures name the file and the reason") {
  const TempDir dir;
  CHECK(lacks(refusal([&] { io::disk().open(dir / "none/f"); }, Exit::failed), {"none/f", "No such file"}) == "");
  CHECK(lacks(refusal([&] { io::disk().make_folder(dir / "a/b"); }, Exit::failed), {"a/b", "No such file"}) == "");
  CHECK(lacks(refusal([&] { io::disk().rename(dir / "a", dir / "b"); }, Exit::failed), {"/b"}) == "");
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit tight = before;
  tight.rlim_cur = 1000;
  const auto file = io::disk().open(dir / "f");
  setrlimit(RLIMIT_FSIZE, &tight);
  const std::string said = refusal([&] { file->reserve(2000); }, Exit::failed);
  setrlimit(RLIMIT_FSIZE, &before);
  CHECK(lacks(said, {"/f", "File too large"}) == "");
}

TEST_CASE("folders: made, renamed, removed with all that is in them") {
  const TempDir dir;
  auto& disk = io::disk();
  disk.make_folder(dir / "a");
  disk.make_folder(dir / "a");  // there already
  disk.make_folder(dir / "a/b");
  io::write_synced(disk, dir / "a/b/f", "first, longer");
  io::write_synced(disk, dir / "a/b/f", "second");
  CHECK(read_file(dir / "a/b/f") == "second");
  io::rename_durably(disk, dir / "a", dir / "c");
  io::remove_all(disk, dir / "c");
  io::remove_all(disk, dir / "c");  // gone already
  CHECK(fs::is_empty(dir.path()));
}

TEST_CASE("a file laid out in memory is the one that HDF5 would have written") {
  const TempDir dir;
  const auto lay_out = [&](const fs::path& path, io::H5Image* image) {
    io::H5Options options;
    options.image = image;
    io::H5File file = io::H5File::create(path, options);
    std::uint64_t at = 0;
    {
      io::H5Group root = file.root(), group = root.create_group("model");
      for (int i = 0; i < 50; ++i)
        group.create_dataset("t" + std::to_string(i), io::H5Type::f32, {10, 7})
            .write_attribute("dtype", std::string("x"));
      // 64 GiB, of which nothing is written
      at = *root.create_dataset("large", io::H5Type::u8, {std::uint64_t{1} << (image ? 36 : 12)}).file_offset();
    }
    file.close();
    return at;
  };
  io::H5Image image;
  const std::uint64_t large = lay_out("nowhere.h5", &image), same = lay_out(dir / "small.h5", nullptr);
  CHECK_FALSE(fs::exists("nowhere.h5"));
  CHECK(large > 0);
  CHECK(same > 0);
  CHECK(image.bytes >= (std::uint64_t{1} << 36) + large);
  std::uint64_t held = 0;
  for (const auto& [begin, part] : image.parts) held += part.size();
  CHECK(held < 100000);
  // on a disk it opens as HDF5
  {
    const auto file = io::disk().open(dir / "sparse.h5");
    for (const auto& [begin, part] : image.parts) file->write_at(part.data(), part.size(), begin);
    file->close();
    fs::resize_file(dir / "sparse.h5", image.bytes);
  }
  const io::H5File file = io::H5File::open(dir / "sparse.h5");
  CHECK(file.root().group("model").children().size() == 50);
  CHECK(file.root().dataset("large").file_offset() == large);
  CHECK(file.root().group("model").dataset("t7").read_string("dtype") == "x");
}
