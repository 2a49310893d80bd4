// DeepSeek's own tokenizer files against ids by Hugging Face's library, where EDDY_MATERIAL has them.
#include <fstream>

#include "catch.h"
#include "support.h"
#include "tokenize/tokenizer.h"
#include "toy.h"

using namespace eddy::tokenize;
using eddy_test::json;

namespace {
struct Checker {
  Tokenizer tokenizer;
  std::size_t checked = 0, wrong_ids = 0, not_inverted = 0;
  void check(const std::string& text, const json& ids) {
    const auto ours = tokenizer.encode(text);
    ++checked;
    wrong_ids += ours != ids.get<std::vector<std::uint32_t>>();
    not_inverted += tokenizer.decode(ours) != text;
  }
};
}  // namespace

TEST_CASE("DeepSeek-V3's and R1's files: every id, and back") {
  const auto folder = eddy_test::material() / "tokenizer";
  if (!std::filesystem::exists(folder / "parity.jsonl")) {
    eddy_test::skip("EDDY_MATERIAL has no tokenizer/parity.jsonl");
    SUCCEED();
    return;
  }
  const auto which = GENERATE(PreTokenizer::Engine::fastest, PreTokenizer::Engine::pcre2);
  Checker v3{Tokenizer::load(folder / "tokenizer.json", which)},
      r1{Tokenizer::load(folder / "tokenizer_r1.json", which)};
  CHECK(v3.tokenizer.vocab_size() == 128815);
  std::ifstream texts(folder / "parity.jsonl"), chats(folder / "chat_parity.jsonl");
  for (std::string line; std::getline(texts, line);) {
    const json j = json::parse(line);
    v3.check(j.at("text"), j.at("ids"));
    r1.check(j.at("text"), j.value("ids_r1", j.at("ids")));
  }
  for (std::string line; std::getline(chats, line);) {
    const json j = json::parse(line);
    v3.check(j.at("text"), j.at("ids_v3"));
    r1.check(j.at("text"), j.at("ids_r1"));
  }
  CHECK(v3.checked > 1500);
  CHECK(v3.wrong_ids + r1.wrong_ids == 0);
  CHECK(v3.not_inverted + r1.not_inverted == 0);
}
