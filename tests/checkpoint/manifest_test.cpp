// A manifest with a right checksum that contradicts itself is refused by name.
#include "checkpoint/manifest.h"

#include "base/hash.h"
#include "catch.h"

using namespace eddy;
using namespace eddy::checkpoint;

namespace {
Manifest two_tensors() {
  Manifest m;
  m.files = {{"data.h5", 4096, 2048, 1, 0, 0}, {"more.h5", 4096, 2048, 1, 0, 0}};
  m.attachments = {{"config.json", 3, "0123456789abcdef"}, {"tokenizer.json", 3, "0123456789abcdef"}};
  m.tensors = {{"a", Dtype::f32, {3}, {{{0}, {3}, 0, 1024, 0, 5}}},
               {"b", Dtype::f32, {3}, {{{0}, {3}, 1, 1024, 0, 5}}}};
  return m;
}
Manifest through_text(Manifest m) {
  number_chunks(m);
  const auto hashes = file_hashes(m);
  for (std::size_t i = 0; i < m.files.size(); ++i) m.files[i].xxh3 = hashes[i];
  return from_text(to_text(m), "m.json");
}
/// A text with `from` replaced, and its checksum right again.
std::string changed(std::string text, const std::string& from, const std::string& to) {
  REQUIRE(text.find(from) != std::string::npos);
  text.replace(text.find(from), from.size(), to);
  const std::string key = "\"xxh3\": \"";
  const std::size_t hash = text.rfind(key) + key.size();
  text.replace(hash, 16, 16, '0');
  return text.replace(hash, 16, hex64(xxh3(text)));
}
}  // namespace

TEST_CASE("one name for two tensors or two files is refused") {
  CHECK(through_text(two_tensors()).tensors.size() == 2);
  Manifest m = two_tensors();
  m.tensors[1].name = "a";
  CHECK_THROWS_WITH(through_text(m), "m.json: its tensors are not in order, or two have the name 'a'");
  m = two_tensors();
  m.files[1].name = "data.h5";
  CHECK_THROWS_WITH(through_text(m), "m.json: it names the file 'data.h5' twice");
  m = two_tensors();
  m.attachments[1].name = "config.json";
  CHECK_THROWS_WITH(through_text(m), "m.json: it names the file 'config.json' twice");
}

TEST_CASE("JSON nested beyond any stack is refused") {
  Manifest m = two_tensors();
  for (int i = 0; i < 300; ++i) m.meta = nlohmann::json::array({m.meta});
  CHECK_THROWS_WITH(through_text(m), contains_text("m.json: its JSON is nested deeper"));
}

TEST_CASE("a number that is no whole one, or too large, is refused and not cut") {
  Manifest m = two_tensors();
  number_chunks(m);
  const auto hashes = file_hashes(m);
  for (std::size_t i = 0; i < m.files.size(); ++i) m.files[i].xxh3 = hashes[i];
  const std::string text = to_text(m);
  CHECK(from_text(changed(text, "4096", "4096"), "m.json").files.size() == 2);
  for (const char* bad : {"4096.5", "8.66667e+55", "-1", "\"4096\"", "36893488147419103232"}) {
    INFO(bad);
    CHECK_THROWS_WITH(from_text(changed(text, "4096", bad), "m.json"), contains_text("m.json: bytes must be a whole"));
  }
  CHECK_THROWS_WITH(from_text(changed(text, "\"shape\":[3]", "\"shape\":[3.5]"), "m.json"),
                    contains_text("m.json: shape must be a whole number"));
  CHECK_THROWS_WITH(from_text(changed(text, "\"shape\":[3]", "\"shape\":3"), "m.json"),
                    contains_text("m.json: shape must be a list"));
}
