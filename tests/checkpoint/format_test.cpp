// docs/formats/checkpoint.md's worked example is what a save writes.
#include "base/hash.h"
#include "blocks.h"
#include "catch.h"
#include "checkpoint/checkpoint.h"
#include "comm/self_communicator.h"
#include "support.h"

using namespace eddy;
using namespace eddy_test;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::size_t begin = 0;
  for (std::size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
    lines.push_back(text.substr(begin, end - begin));
  return lines;
}

/// A line without what depends on the version of Eddy, or of the HDF5 library.
std::string without_versions(const std::string& line) {
  if (line.starts_with(" \"eddy\":") || line.starts_with(" \"xxh3\":")) return "";
  return line.substr(0, line.find("\"structure_xxh3\""));
}

}  // namespace

TEST_CASE("the worked example") {
  const TempDir dir;
  const auto world = comm::self_communicator("world");
  Block weight = make_block("model/a.weight", Dtype::f32, {2, 2}, {0, 0}, {2, 2});
  for (int i = 0; i < 4; ++i) put(weight.slice.view, i, i + 1);
  Block step = make_block("sampler/position", Dtype::i64, {1}, {0}, {1});
  put(step.slice.view, 0, 128 + 5);
  checkpoint::save(*world, dir / "c", {{"step", 5}}, {weight.slice, step.slice});

  const std::string doc = read_file(source_dir() / "docs/formats/checkpoint.md");
  std::string written = "```json\n" + read_file(dir / "c/manifest.json") + "```";
  const std::size_t begin = doc.find("```json\n{\n \"format\"");
  REQUIRE(begin != std::string::npos);
  const auto stated = lines_of(doc.substr(begin)), is = lines_of(written);
  REQUIRE(stated.size() >= is.size());
  for (std::size_t i = 0; i < is.size(); ++i) CHECK(without_versions(stated[i]) == without_versions(is[i]));

  // the chain of hashes, by hand: 16 bytes are one piece; the tensor's hash is that of its pieces' hashes
  const float values[4] = {1, 2, 3, 4};
  const std::uint64_t piece = xxh3(values, sizeof values);
  CHECK(doc.find(hex64(piece)) != std::string::npos);
  CHECK(written.find(hex64(xxh3(&piece, 8))) != std::string::npos);
}
