// Files that cannot be used: each is refused, with the file's name and what is wrong.
#include "tokenize/definition.h"

#include "refusal.h"
#include "support.h"
#include "tokenize/tokenizer.h"
#include "toy.h"

using namespace eddy::tokenize;
using eddy_test::added;
using eddy_test::json;
using eddy_test::lacks;
using eddy_test::refusal;
using eddy_test::toy;

namespace {
std::string why(const json& file) {
  return refusal([&] { Tokenizer::from_json(file.dump(), "dir/tokenizer.json"); });
}
json with(json file, const std::string& pointer, const json& value) {
  file[json::json_pointer(pointer)] = value;
  return file;
}
}  // namespace

TEST_CASE("a file that is missing, empty, cut short or not a tokenizer") {
  const eddy_test::TempDir dir;
  const auto load = [&](const std::string& name) { return refusal([&] { Tokenizer::load(dir / name); }); };
  CHECK(lacks(load("none.json"), {"none.json"}) == "");
  CHECK(lacks(refusal([&] { Tokenizer::load(dir.path()); }), {dir.path().string()}) == "");
  eddy_test::write_file(dir / "empty.json", "");
  CHECK(lacks(load("empty.json"), {"empty.json", "JSON"}) == "");
  const std::string whole = toy({"a b"}).dump();
  eddy_test::write_file(dir / "cut.json", whole.substr(0, whole.size() / 2));
  CHECK(lacks(load("cut.json"), {"cut.json", "JSON"}) == "");
  eddy_test::write_file(dir / "latin1.json", "{\"model\": \"\xE9\"}");
  CHECK(lacks(load("latin1.json"), {"latin1.json", "UTF-8"}) == "");
  eddy_test::write_file(dir / "whole.json", whole);
  CHECK(Tokenizer::load(dir / "whole.json").vocab_size() == 257);
  for (const json& other : {json(3), json::array(), json::object(), json{{"model", nullptr}}})
    CHECK(lacks(why(other), {"dir/tokenizer.json", "has no 'model'"}) == "");
}

TEST_CASE("parts that Eddy does not support are named") {
  const auto names = [](const std::string& pointer, const json& value, const std::string& part) {
    CHECK(lacks(why(with(toy(), pointer, value)), {"dir/tokenizer.json", part}) == "");
  };
  names("/model/type", "Unigram", "the model 'Unigram'");
  names("/model/byte_fallback", true, "byte_fallback");
  names("/model/dropout", 0.1, "dropout");
  names("/model/continuing_subword_prefix", "##", "continuing_subword_prefix");
  names("/model/end_of_word_suffix", "</w>", "end_of_word_suffix");
  names("/normalizer", {{"type", "NFC"}}, "the normalizer 'NFC'");
  names("/normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "Lowercase"}}}}},
        "the normalizer 'Lowercase'");
  names("/pre_tokenizer", {{"type", "Metaspace"}}, "the pre-tokenizer 'Metaspace'");
  names("/pre_tokenizer", nullptr, "no pre-tokenizer");
  names("/pre_tokenizer", {{"type", "Digits"}}, "no ByteLevel");
  const json byte_level = {{"type", "ByteLevel"}, {"use_regex", false}};
  names("/pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {byte_level, {{"type", "Digits"}}}}},
        "the pre-tokenizer 'Digits' after ByteLevel");
  const auto split = [&](const json& pattern, const std::string& behavior) {
    return json{{"type", "Sequence"},
                {"pretokenizers", {{{"type", "Split"}, {"pattern", pattern}, {"behavior", behavior}}, byte_level}}};
  };
  names("/pre_tokenizer", split({{"Regex", "[a[b]]"}}, "Isolated"), "a nested class");
  names("/pre_tokenizer", split({{"Regex", "a"}}, "Sideways"), "Sideways");
  names("/pre_tokenizer", split({{"Glob", "a"}}, "Isolated"), "String");
}

TEST_CASE("an empty sequence of normalizers is none") {
  const json file = with(toy(), "/normalizer", {{"type", "Sequence"}, {"normalizers", json::array()}});
  CHECK(parse_definition(file.dump(), "f").vocabulary.size() == 256);
}

TEST_CASE("vocabularies, merges and added tokens that contradict themselves") {
  const auto says = [](const json& file, const std::string& part) {
    CHECK(lacks(why(file), {"dir/tokenizer.json", part}) == "");
  };
  says(with(toy(), "/model/vocab/b", 97), "have the same id 97");
  says(with(toy(), "/model/vocab/b", -1), "the id -1 of token 'b'");
  says(with(toy(), "/model/vocab/b", 1 << 24), "is not a number up to 16777215");
  says(with(toy(), "/model/vocab/b", "x"), "of token 'b'");
  says(with(toy(), "/model/unk_token", "<unk>"), "the unknown token '<unk>'");
  says(with(toy(), "/model/merges", json::array({"a b"})), "result 'ab' is not in the vocabulary");
  says(with(toy({"a b"}), "/model/merges", json::array({"ab"})), "merge 0 is not two tokens");
  says(with(toy({"a b"}), "/model/merges", json::array({"a b", "a b c"})), "merge 1 is not two tokens");
  says(with(toy({"a b"}), "/model/merges", json::array({json{"a"}})), "merge 0 is not two tokens");
  says(with(toy({"a b"}), "/model/merges", json::array({7})), "merge 0 is not two tokens");
  says(with(toy(), "/added_tokens", json::array({added(97, "<s>")})), "the id 97 of another token");
  says(with(toy(), "/added_tokens", json::array({added(300, "a")})), "has two ids, 97 and 300");
  says(with(toy(), "/added_tokens", json::array({added(300, "<s>"), added(300, "<t>")})),
       "the id 300 of another token");
  says(with(toy(), "/added_tokens", json::array({added(300, "")})), "is empty");
  says(with(toy(), "/added_tokens", json::array({json{{"id", 300}}})), "content");
  CHECK(lacks(refusal([&] { Tokenizer::from_json(R"({"model":{"vocab":{"a":0,"a":1}}})", "twice.json"); }),
              {"twice.json", "'a'", "twice"}) == "");
}

TEST_CASE("merges may be pairs") {
  const Definition strings = parse_definition(toy({"a b"}).dump(), "f");
  const Definition pairs =
      parse_definition(with(toy({"a b"}), "/model/merges", json::array({json{"a", "b"}})).dump(), "f");
  REQUIRE(pairs.merges.size() == 1);
  CHECK(pairs.merges[0].left == strings.merges[0].left);
  CHECK(pairs.merges[0].right == 'b');
  CHECK(pairs.merges[0].result == 256);
}
