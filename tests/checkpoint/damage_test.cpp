// Any byte of any file altered, any file cut off or missing: found, named, never loaded.
#include "base/error.h"
#include "base/hash.h"
#include "blocks.h"
#include "catch.h"
#include "checkpoint/checkpoint.h"
#include "comm/self_communicator.h"
#include "io/faulty_file_system.h"
#include "refusal.h"
#include "support.h"

using namespace eddy;
using namespace eddy_test;
namespace fs = std::filesystem;

namespace {

struct Saved {
  TempDir dir;
  fs::path path = dir / "step-00000001";
  Saved() {
    const auto world = comm::self_communicator("world");
    Block a = make_block("model/a.weight", Dtype::f32, {6, 5}, {0, 0}, {6, 5}),
          b = make_block("optim.m/a.weight", Dtype::i64, {40}, {0}, {40});
    fill(a);
    fill(b);
    write_file(dir / "tokenizer.json", "{\"a tokenizer\": 1}");
    checkpoint::SaveOptions options;
    options.attachments = {dir / "tokenizer.json"};
    checkpoint::save(*world, path, {{"step", 1}, {"lr", 0.1}}, {a.slice, b.slice}, options);
  }
};

/// What opening and verifying says; "" when nothing was found.
std::string complaint(const fs::path& path) {
  try {
    checkpoint::Checkpoint(path).verify();
  } catch (const Error& e) {
    return e.status() == Exit::unusable ? e.what() : std::string("another status: ") + e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("every byte of every file: altered, it is found and the file named") {
  const Saved saved;
  REQUIRE(complaint(saved.path) == "");
  for (const std::string name : {"manifest.json", "data.h5", "hf/tokenizer.json"}) {
    const std::string good = read_file(saved.path / name);
    int missed = 0, unnamed = 0;
    for (std::size_t i = 0; i < good.size(); ++i) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ (1 << (i % 8)));
      write_file(saved.path / name, bad);
      const std::string said = complaint(saved.path);
      missed += said.empty();
      unnamed += said.find(name) == std::string::npos;
    }
    CHECK(missed == 0);
    CHECK(unnamed == 0);
    CHECK(good.size() > 10);
    write_file(saved.path / name, good);
  }
  CHECK(complaint(saved.path) == "");
}

TEST_CASE("a damaged tensor is named, also when a block of it is read; its neighbours still load") {
  const Saved saved;
  const std::string good = read_file(saved.path / "data.h5");
  float first = static_cast<float>(element("model/a.weight", 1));  // elements 1 and 2 find the tensor in the file
  std::string pattern(8, '\0');
  std::memcpy(pattern.data(), &first, 4);
  first = static_cast<float>(element("model/a.weight", 2));
  std::memcpy(pattern.data() + 4, &first, 4);
  const std::size_t at = good.find(pattern);
  REQUIRE(at != std::string::npos);
  std::string bad = good;
  bad[at + 2] ^= 1;
  write_file(saved.path / "data.h5", bad);
  const checkpoint::Checkpoint opened(saved.path);
  Block a = make_block("model/a.weight", Dtype::f32, {6, 5}, {4, 0}, {1, 5}),
        b = make_block("optim.m/a.weight", Dtype::i64, {40}, {0}, {40});
  CHECK(lacks(refusal([&] { opened.read(a.slice); }), {"data.h5", "model/a.weight", "damaged"}) == "");
  CHECK(lacks(complaint(saved.path), {"data.h5", "model/a.weight", "damaged"}) == "");
  CHECK_NOTHROW(opened.read(b.slice));
}

TEST_CASE("files cut off or missing") {
  const Saved saved;
  for (const std::string name : {"manifest.json", "data.h5", "hf/tokenizer.json"}) {
    const std::string good = read_file(saved.path / name);
    for (const std::size_t keep : {std::size_t{0}, std::size_t{1}, good.size() / 2, good.size() - 1}) {
      write_file(saved.path / name, good.substr(0, keep));
      CHECK(lacks(complaint(saved.path), {name}) == "");
    }
    write_file(saved.path / name, good + "x");
    CHECK(lacks(complaint(saved.path), {name}) == "");
    fs::remove(saved.path / name);
    CHECK(lacks(complaint(saved.path), {name}) == "");
    write_file(saved.path / name, good);
  }
  CHECK(complaint(saved.path) == "");
  CHECK(lacks(complaint(saved.dir / "none"), {"none", "manifest.json"}) == "");
}

TEST_CASE("a data file that goes while others are written is missed before the commit; a flipped bit is found after") {
  const Saved saved;
  const auto world = comm::self_communicator("world");
  Block a = make_block("model/a.weight", Dtype::f32, {60, 5}, {0, 0}, {60, 5});
  fill(a);
  const auto save = [&](io::FileFault kind, std::uint64_t operation) {
    io::FaultyFileSystem files(io::disk(), {kind, operation, 17, 0, {}, {}});
    files.count(true);
    checkpoint::SaveOptions options;
    options.files = &files;
    checkpoint::save(*world, saved.path, {{"step", 2}}, {a.slice}, options);
    CHECK(files.struck());
  };
  CHECK(lacks(refusal([&] { save(io::FileFault::lost_file, 3); }, Exit::failed), {"data.h5", "is not there"}) == "");
  CHECK(complaint(saved.path) == "");  // the one that stood there
  int damaged = 0, of_tensor = 0;
  for (std::uint64_t operation = 1; operation <= 8; ++operation) {
    save(io::FileFault::bit_flip, operation);
    const std::string said = complaint(saved.path);
    damaged += !said.empty();
    of_tensor += said.find("model/a.weight") != std::string::npos;
  }
  CHECK(damaged == 8);
  CHECK(of_tensor > 0);
}

TEST_CASE("a manifest of another schema says so, and one without the keys it needs") {
  const Saved saved;
  const fs::path path = saved.path / "manifest.json";
  const std::string good = read_file(path);
  const auto with = [&](const std::string& from, const std::string& to) {  // altered, and its hash made to fit
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    const std::size_t hash = text.rfind("\"xxh3\": \"") + 9;
    text.replace(hash, 16, 16, '0');
    text.replace(hash, 16, hex64(xxh3(text)));
    write_file(path, text);
    return complaint(saved.path);
  };
  CHECK(with("\"schema\": 2", "\"schema\":  2") == "");
  CHECK(lacks(with("\"schema\": 2", "\"schema\": 3"), {"manifest.json", "schema 3", "reads schemas 1 to 2"}) == "");
  CHECK(lacks(with("\"shape\"", "\"shade\""), {"manifest.json", "shape"}) == "");
  CHECK(lacks(with("\"offset\":", "\"offset\":9"), {"data.h5"}) == "");
  CHECK(lacks(with("\"extent\":[6,5]", "\"extent\":[6,6]"), {"manifest.json", "model/a.weight", "impossible"}) == "");
  CHECK(lacks(with("\"extent\":[6,5]", "\"extent\":[5,5]"), {"data.h5"}) == "");
  Block a = make_block("model/a.weight", Dtype::f32, {6, 5}, {0, 0}, {6, 5});
  CHECK(lacks(refusal([&] { checkpoint::Checkpoint(saved.path).read(a.slice); }), {"data.h5", "model/a.weight"}) == "");
  CHECK(lacks(with("\"file\":0", "\"file\":1"), {"manifest.json", "model/a.weight"}) == "");
  CHECK(lacks(with("data.h5", "../data.h5"), {"manifest.json", "../data.h5"}) == "");
  CHECK(lacks(with("tokenizer.json", "../x/tokenizer.json"), {"../x"}) == "");
}

TEST_CASE("a checkpoint of schema 1, of one file and whole tensors, is read; damaged, it is found") {
  const Saved saved;
  const fs::path path = saved.path / "manifest.json";
  const auto now = nlohmann::ordered_json::parse(read_file(path));
  auto old = now;
  old["schema"] = 1;
  const auto& file = now.at("files")[0];
  old["data"] = {{"file", file.at("name")},
                 {"bytes", file.at("bytes")},
                 {"chunk_bytes", 1 << 20},
                 {"checksums_offset", file.at("checksums_offset")},
                 {"structure_xxh3", file.at("structure_xxh3")}};
  old.erase("files");
  old.erase("chunk_bytes");
  for (auto& t : old["tensors"])
    t = {{"name", t.at("name")},
         {"dtype", t.at("dtype")},
         {"shape", t.at("shape")},
         {"offset", t.at("slices")[0].at("offset")},
         {"xxh3", t.at("slices")[0].at("xxh3")}};
  old.erase("xxh3");
  old["xxh3"] = std::string(16, '0');
  std::string text = old.dump(1) + "\n";
  text.replace(text.rfind("\"xxh3\": \"") + 9, 16, hex64(xxh3(text)));
  write_file(path, text);
  CHECK(complaint(saved.path) == "");
  Block a = make_block("model/a.weight", Dtype::f32, {6, 5}, {2, 1}, {3, 4}),
        wanted = make_block("model/a.weight", Dtype::f32, {6, 5}, {2, 1}, {3, 4});
  fill(wanted);
  checkpoint::Checkpoint(saved.path).read(a.slice);
  CHECK(same_bytes(a, wanted));
  std::string bad = read_file(saved.path / "data.h5");
  bad[bad.size() - 3] ^= 1;
  write_file(saved.path / "data.h5", bad);
  CHECK(lacks(complaint(saved.path), {"data.h5"}) == "");
}
