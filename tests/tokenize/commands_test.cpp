#include "tools/tokenizer_commands.h"

#include <sstream>

#include "refusal.h"
#include "support.h"
#include "toy.h"

using eddy_test::json;
using eddy_test::lacks;
using eddy_test::read_file;
using eddy_test::refusal;
using eddy_test::write_file;

namespace {
const eddy_test::TempDir& dir() {
  static const eddy_test::TempDir folder;
  return folder;
}
std::string path(const std::string& name) {
  return (dir() / name).string();
}
std::string tokenizer() {
  json file = eddy_test::toy({"a b"});
  file["added_tokens"] = {eddy_test::added(257, "<s>")};
  write_file(path("toy.json"), file.dump());
  return path("toy.json");
}
/// The output of tokenize or detokenize over these lines.
std::string run(int (*command)(const std::vector<std::string>&, std::ostream&), const std::string& lines,
                const std::vector<std::string>& more = {}) {
  write_file(path("in.jsonl"), lines);
  std::vector<std::string> arguments = {"--tokenizer", tokenizer(), "--jsonl", path("in.jsonl")};
  arguments.insert(arguments.end(), more.begin(), more.end());
  std::ostringstream out;
  const int status = command(arguments, out);
  CHECK(status == 0);
  return out.str();
}
}  // namespace

TEST_CASE("tokenize and detokenize, line by line") {
  CHECK(run(tokenize_main, "{\"text\":\"ab<s>\"}\n{\"text\":\"\"}\n{\"text\":\"\\u00e9\"}") ==
        "[256,257]\n[]\n[195,169]\n");
  CHECK(run(tokenize_main, "{\"text\":\"<s>\"}\n", {"--plain"}) == "[60,115,62]\n");
  CHECK(run(detokenize_main, "[256,257]\n[]\n[195,169]\n[195]\n") ==
        "{\"text\":\"ab<s>\"}\n{\"text\":\"\"}\n{\"text\":\"é\"}\n{\"text\":\"\uFFFD\"}\n");
  CHECK(run(detokenize_main, "[256,257]\n", {"--skip-special"}) == "{\"text\":\"ab\"}\n");
  CHECK(run(tokenize_main, "") == "");
}

TEST_CASE("a bad line is refused with its file and number") {
  for (const char* bad : {"{\"txt\":1}", "{\"text\":1}", "[]", "7", "{\"text\":\"a\"", "", "{\"text\":\"\\ud800\"}",
                          "{\"text\":\"\xFF\"}", "{\"text\":\"a\",\"text\":\"b\"}"})
    CHECK(lacks(refusal([&] { run(tokenize_main, "{\"text\":\"ab\"}\n" + std::string(bad) + "\n"); }),
                {"in.jsonl, line 2"}) == "");
  for (const char* bad : {"{}", "[1,", "[-1]", "[\"a\"]", "[1.5]", "[258]", "[4294967296]", "[[1]]", ""})
    CHECK(lacks(refusal([&] { run(detokenize_main, "[97]\n[97]\n" + std::string(bad) + "\n"); }),
                {"in.jsonl, line 3"}) == "");
  CHECK(lacks(refusal([&] {
                tokenize_main({"--tokenizer", tokenizer(), "--jsonl", path("none.jsonl")});
              }),
              {"none.jsonl"}) == "");
  CHECK(lacks(refusal([&] {
                tokenize_main({"--tokenizer", path("none.json"), "--jsonl", path("in.jsonl")});
              }),
              {"none.json"}) == "");
  CHECK(lacks(refusal([&] { tokenize_main({"--tokenizer", tokenizer()}); }), {"jsonl"}) == "");
}

TEST_CASE("training reads files and folders, and writes a tokenizer that the other commands read") {
  std::filesystem::create_directories(dir() / "docs/sub");
  write_file(path("docs/a.txt"), "abab abab\n");
  write_file(path("docs/sub/b.md"), "abab abab\n");
  write_file(path("docs/c.jsonl"), "{\"text\":\"abab\"}\n{\"prompt\":\"abab\",\"response\":\"abab\"}\n");
  write_file(path("docs/d.bin"), "zzzz");
  CHECK(train_tokenizer_main({"--input", path("docs"), "--vocab-size", "265", "--out", path("t.json")}) == 0);
  CHECK(json::parse(read_file(path("t.json"))).at("model").at("merges") == json{"a b", "ab ab"});
  write_file(path("in.jsonl"), "{\"text\":\"abab\"}\n");
  std::ostringstream out;
  CHECK(tokenize_main({"--tokenizer", path("t.json"), "--jsonl", path("in.jsonl")}, out) == 0);
  CHECK(out.str() == "[264]\n");

  CHECK(train_tokenizer_main({"--input", path("docs"), "--vocab-size", "300", "--out", path("u.json"), "--special",
                              "<x>", "<think>"}) == 0);
  const json added = json::parse(read_file(path("u.json"))).at("added_tokens");
  REQUIRE(added.size() == 2);
  CHECK(added[0].at("special") == true);
  CHECK(added[1].at("special") == false);
  CHECK(added[1].at("id") == 1);
}

TEST_CASE("training that cannot be done leaves no file") {
  const auto train = [](const std::string& input, const std::string& size) {
    return refusal([&] { train_tokenizer_main({"--input", input, "--vocab-size", size, "--out", path("bad.json")}); });
  };
  write_file(path("text.txt"), "some text\n");
  CHECK(lacks(train(path("text.txt"), "262"), {"262", "263"}) == "");
  CHECK(lacks(train(path("text.txt"), "-5"), {"vocab-size"}) == "");
  CHECK(lacks(train(path("nothing-there"), "300"), {"nothing-there"}) == "");
  std::filesystem::create_directories(dir() / "empty");
  CHECK(lacks(train(path("empty"), "300"), {"--input"}) == "");
  CHECK(lacks(refusal([&] {
                train_tokenizer_main({"--input", path("text.txt"), "--vocab-size", "300", "--out", path("bad.json"),
                                      "--special", "<x>", "<x>"});
              }),
              {"<x>", "twice"}) == "");
  CHECK_FALSE(std::filesystem::exists(dir() / "bad.json"));
}
