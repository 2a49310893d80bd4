// Files written by threads: what is complete survives a failure and is not made again, unless it is damaged or of
// another source.
#include "hf/folder_writer.h"

#include <atomic>
#include <cstring>

#include "catch.h"
#include "hf/safetensors.h"
#include "refusal.h"
#include "support.h"

using namespace eddy;
using namespace eddy::hf;
using eddy_test::TempDir;
namespace fs = std::filesystem;

namespace {

/// Four files of two tensors each; a tensor's bytes are its name's last character.
std::vector<FilePlan> plans() {
  std::vector<FilePlan> out;
  for (const char* f : {"0", "1", "2", "3"})
    out.push_back({std::string("f") + f + ".safetensors",
                   {{std::string("a") + f, Dtype::f32, {300, 40}}, {std::string("b") + f, Dtype::u8, {}}}});
  return out;
}

struct Maker {
  std::atomic<int> made{0};
  std::string fails;  ///< the tensor at which it throws
  void operator()(const Declared& t, std::int64_t first, std::int64_t rows, std::byte* out) {
    if (t.name == fails) fail_run("no more of {}", t.name);
    CHECK(first % 128 == 0);
    const std::int64_t row = t.shape.empty() ? 1 : 160;
    std::memset(out, t.name.back(), static_cast<std::size_t>(rows * row));
    if (first == 0) ++made;
  }
};

int run(const fs::path& dir, Maker& maker, const std::string& source = "s", int threads = 1) {
  maker.made = 0;
  FolderWriter writer(dir, {threads, false, source, {}});
  writer.write(plans(), [&](const auto&... a) { maker(a...); });
  return maker.made;
}

}  // namespace

TEST_CASE("what is complete is kept, the rest made; threads make no difference") {
  const TempDir dir;
  Maker maker;
  maker.fails = "a2";
  CHECK(eddy_test::lacks(eddy_test::refusal([&] { run(dir.path(), maker); }, Exit::failed), {"no more of a2"}) == "");
  CHECK(fs::exists(dir / "f1.safetensors"));
  CHECK_FALSE(fs::exists(dir / "f2.safetensors"));
  maker.fails.clear();
  CHECK(run(dir.path(), maker, "s", 3) == 4);  // two tensors of each of f2 and f3
  CHECK(run(dir.path(), maker) == 0);
  for (const FilePlan& p : plans()) {
    const SafetensorsFile file(dir / p.name);
    for (const Declared& t : p.tensors) {
      const auto bytes = file.at(t.name).bytes;
      CHECK(bytes.size() == bytes_of(t));
      CHECK(std::all_of(bytes.begin(), bytes.end(), [&](std::byte b) { return b == std::byte(t.name.back()); }));
    }
  }
  std::string content = eddy_test::read_file(dir / "f1.safetensors");
  content[500] ^= 1;
  eddy_test::write_file(dir / "f1.safetensors", content);
  fs::remove(note_path(dir.path(), "f3.safetensors"));
  CHECK(run(dir.path(), maker) == 4);
  CHECK(run(dir.path(), maker, "another source") == 8);
}
