// Every kind of split and added token, against ids that Hugging Face's library gave
// (tests/reference/make_tokenizer_variants.py).
#include <fstream>

#include "catch.h"
#include "support.h"
#include "tokenize/tokenizer.h"
#include "tokenize/trainer.h"
#include "toy.h"

using namespace eddy::tokenize;
using eddy_test::json;

namespace {
std::vector<json> fixture() {
  std::ifstream in(eddy_test::source_dir() / "tests/tokenize/variants.jsonl");
  std::vector<json> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(json::parse(line));
  return lines;
}
}  // namespace

TEST_CASE("ids are Hugging Face's under every kind of pre-tokenizer") {
  const auto lines = fixture();
  REQUIRE(lines.size() == 25);
  for (std::size_t i = 1; i < lines.size(); ++i) {
    json file = lines[0].at("tokenizer");
    file["pre_tokenizer"] = lines[i].at("pre_tokenizer");
    file["added_tokens"] = lines[i].at("added_tokens");
    file["model"].update(lines[i].at("model"));
    for (const auto which : {PreTokenizer::Engine::fastest, PreTokenizer::Engine::pcre2}) {
      Tokenizer tokenizer = Tokenizer::from_json(file.dump(), "variant", which);
      for (const json& one : lines[i].at("cases")) {
        const auto text = one.at(0).get<std::string>();
        CAPTURE(lines[i].at("name").get<std::string>(), text);
        const auto expected = one.at(1).get<std::vector<std::uint32_t>>();
        CHECK(tokenizer.encode(text) == expected);
        CHECK(tokenizer.encode(text) == expected);  // now from the cache
        std::vector<std::uint32_t> of_offsets;
        for (const TokenSpan& span : tokenizer.encode_with_offsets(text)) {
          CHECK(span.begin <= span.end);
          CHECK(span.end <= text.size());
          of_offsets.push_back(span.id);
        }
        CHECK(of_offsets == expected);
      }
    }
  }
}

TEST_CASE("training finds the merges that Hugging Face's trainer finds") {
  const json first = fixture().at(0);
  const json& theirs = first.at("tokenizer").at("model");
  BpeTrainer trainer(400, {{.content = "<s>", .special = true}});
  trainer.add(first.at("corpus").get<std::string>());
  const json ours = json::parse(trainer.finish()).at("model");
  CHECK(ours.at("vocab") == theirs.at("vocab"));
  std::vector<std::string> merges;
  for (const json& merge : theirs.at("merges"))
    merges.push_back(merge.at(0).get<std::string>() + " " + merge.at(1).get<std::string>());
  CHECK(ours.at("merges") == json(merges));
  CHECK(merges.size() == 91);
}
