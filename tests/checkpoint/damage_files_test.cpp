// Every byte of every file of a checkpoint of several files, altered; every length that a file can be cut to; every
// file missing: found, the file named and the tensor where there is one, and not loaded as a run that resumes loads.
#include <map>

#include "base/error.h"
#include "blocks.h"
#include "catch.h"
#include "checkpoint/checkpoint.h"
#include "refusal.h"
#include "support.h"
#include "world.h"

using namespace eddy;
using namespace eddy_test;
namespace fs = std::filesystem;

namespace {

/// A checkpoint of one file a rank, saved by all into rank 0's folder; each rank has its own copy of it.
struct Saved {
  std::optional<TempDir> shared;
  TempDir own;
  fs::path path = own / "step-00000001";
  Saved() {
    std::string common(200, ' ');
    if (world().rank() == 0) {
      shared.emplace();
      common = shared->path().string();
      common.resize(200, ' ');
      write_file(*shared / "tokenizer.json", "{\"a tokenizer\": 1}");
    }
    world().broadcast(common.data(), common.size(), Dtype::u8, 0);
    common.erase(common.find(' '));
    const int me = world().rank(), ranks = world().size();
    const auto [first, last] = part(6, me, ranks);
    std::vector<Block> blocks;
    blocks.push_back(make_block("model/a.weight", Dtype::f32, {6, 5}, {first, 0}, {last - first, 5}));
    blocks.push_back(make_block("model/half.weight", Dtype::bf16, {6, 3}, {first, 0}, {last - first, 3}));
    if (me == ranks - 1) blocks.push_back(make_block("optim.m/b.weight", Dtype::i64, {20}, {0}, {20}));
    std::vector<tensor::Slice> slices;
    for (Block& b : blocks) {
      fill(b);
      slices.push_back(b.slice);
    }
    checkpoint::SaveOptions options;
    options.ranks_per_file = 1;
    options.attachments = {fs::path(common) / "tokenizer.json"};
    checkpoint::save(world(), fs::path(common) / "step-00000001", {{"step", 1}}, slices, options);
    fs::copy(fs::path(common) / "step-00000001", path, fs::copy_options::recursive);
    world().barrier();
  }
  std::vector<std::string> files() const {
    std::vector<std::string> out;
    for (const auto& entry : fs::recursive_directory_iterator(path))
      if (entry.is_regular_file()) out.push_back(entry.path().lexically_relative(path).string());
    return out;
  }
  /// The tensor whose element a byte of a file is part of; empty: none's.
  std::map<std::string, std::map<std::size_t, std::string>> tensors() const {
    std::map<std::string, std::map<std::size_t, std::string>> out;
    const auto manifest = nlohmann::json::parse(read_file(path / "manifest.json"));
    const std::map<std::string, std::size_t> sizes{{"f32", 4}, {"bf16", 2}, {"i64", 8}};
    for (const auto& t : manifest.at("tensors"))
      for (const auto& s : t.at("slices")) {
        std::size_t bytes = sizes.at(t.at("dtype"));
        for (const auto& n : s.at("extent")) bytes *= n.get<std::size_t>();
        const std::string file = manifest.at("files").at(s.at("file").get<std::size_t>()).at("name");
        for (std::size_t i = 0; i < bytes; ++i) out[file][s.at("offset").get<std::size_t>() + i] = t.at("name");
      }
    return out;
  }
  /// What auditing says, and what a run that resumes says: opening, the rest, then every tensor.
  std::string audited() const {
    return said([&] { checkpoint::Checkpoint(path).verify(); });
  }
  std::string loaded() const {
    return said([&] {
      const checkpoint::Checkpoint opened(path);
      opened.verify_rest();
      for (const auto& t : opened.tensors()) {
        Block b = make_block(t.name, t.dtype, t.shape, std::vector<std::int64_t>(t.shape.size(), 0), t.shape);
        opened.read(b.slice);
      }
    });
  }

 private:
  static std::string said(const std::function<void()>& act) {
    try {
      act();
    } catch (const Error& e) {
      return e.status() == Exit::unusable ? e.what() : std::string("another status: ") + e.what();
    }
    return "";
  }
};

}  // namespace

TEST_CASE("several files: every byte altered, every length, every file missing") {
  const Saved saved;
  const auto files = saved.files();
  REQUIRE(static_cast<int>(files.size()) == world().size() + 2);
  REQUIRE(saved.audited() == "");
  REQUIRE(saved.loaded() == "");
  const auto tensors = saved.tensors();
  REQUIRE(static_cast<int>(tensors.size()) == world().size());
  int of_tensors = 0, turn = 0;
  for (const std::string& name : files) {
    CAPTURE(name);
    const std::string good = read_file(saved.path / name);
    int missed = 0, unnamed = 0, tensor_unnamed = 0;
    const auto look = [&](const std::string& tensor) {
      for (const std::string& said : {saved.audited(), saved.loaded()}) {
        missed += said.empty();
        unnamed += said.find(name) == std::string::npos;
        tensor_unnamed += said.find(tensor) == std::string::npos;
      }
    };
    for (std::size_t i = 0; i < good.size(); ++i) {
      if (turn++ % world().size() != world().rank()) continue;  // each rank its share
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ (1 << (i / 3 % 8)));
      write_file(saved.path / name, bad);
      const auto file = tensors.find(name);
      const auto tensor = file == tensors.end() ? std::map<std::size_t, std::string>() : file->second;
      const auto at = tensor.find(i);
      of_tensors += at != tensor.end();
      look(at == tensor.end() ? "" : at->second);
      write_file(saved.path / name, good.substr(0, i));
      look("");
    }
    fs::remove(saved.path / name);
    look("");
    CHECK(missed == 0);
    CHECK(unnamed == 0);
    CHECK(tensor_unnamed == 0);
    write_file(saved.path / name, good);
  }
  world().all_reduce(&of_tensors, 1, Dtype::i32, comm::Reduce::sum);
  CHECK(of_tensors == 6 * 5 * 4 + 6 * 3 * 2 + 20 * 8);
  CHECK(saved.audited() == "");
}
