#include "tokenize/trainer.h"

#include <set>

#include "refusal.h"
#include "tokenize/tokenizer.h"
#include "toy.h"

using namespace eddy::tokenize;
using eddy_test::json;
using Ids = std::vector<std::uint32_t>;

namespace {
json trained(std::size_t vocab_size, const std::vector<std::string>& documents) {
  BpeTrainer trainer(vocab_size);
  for (const auto& document : documents) trainer.add(document);
  return json::parse(trainer.finish());
}
const std::vector<std::string> kDocuments = {"the theory of the three\n", "then there is 12345 \\theta_{1}",
                                             "é and ê \xFF!"};
}  // namespace

TEST_CASE("merges by hand: the most frequent pair, then the smaller ids") {
  // "aab" three times and "ab" once: a b 4 times, a a 3 times. Then a+ab 3 times; Ġ+… of the words with a space.
  const json file = trained(7 + 256 + 3, {"aab.aab.aab.ab"});
  // splits: "aab", ".aab", ".aab", ".ab": . a (3) loses to a b (4); then a ab (3) against . a (2), and so on.
  CHECK(file.at("model").at("merges") == json{"a b", "a ab", ". aab"});
  const json tie = trained(7 + 256 + 1, {"dc ab"});  // d c; Ġ a, a b: once each; a has a smaller id than d and Ġ
  CHECK(tie.at("model").at("merges") == json{"a b"});
}

TEST_CASE("added tokens come first, with R1's flags, then the bytes") {
  Tokenizer t = Tokenizer::from_json(trained(263, {"x"}).dump(), "trained");
  CHECK(t.id_of("<｜begin▁of▁sentence｜>") == 0u);
  CHECK(t.id_of("<｜end▁of▁sentence｜>") == 1u);
  CHECK(t.id_of("<｜▁pad▁｜>") == 2u);
  CHECK(t.id_of("<｜User｜>") == 3u);
  CHECK(t.id_of("<｜Assistant｜>") == 4u);
  CHECK(t.id_of("<think>") == 5u);
  CHECK(t.id_of("</think>") == 6u);
  CHECK(t.id_of("!") == 7u);
  CHECK(t.is_special(0));
  CHECK_FALSE(t.is_special(3));
  CHECK(t.encode("<｜Assistant｜><think>\n") == Ids{4, 5, *t.id_of("Ċ")});
}

TEST_CASE("without merges every digit is a token") {
  Tokenizer t = Tokenizer::from_json(trained(263, {"1234567890 1234567890"}).dump(), "trained");
  CHECK(t.vocab_size() == 263);
  const Ids ids = t.encode("9876543210");
  CHECK(ids.size() == 10);
  CHECK(ids.front() == *t.id_of("9"));
  CHECK(t.decode(ids) == "9876543210");
}

TEST_CASE("a trained tokenizer encodes its text shorter, and gives it back") {
  const json file = trained(290, kDocuments);
  Tokenizer t = Tokenizer::from_json(file.dump(), "trained");
  CHECK(t.vocab_size() == 290);
  CHECK(file.at("model").at("merges").size() == 290 - 263);
  for (const std::string& document : kDocuments) {
    const Ids ids = t.encode(document);
    CHECK(ids.size() < document.size());
    CHECK(t.decode(ids) == document);
  }
}

TEST_CASE("the same documents in another order give the same file") {
  BpeTrainer forward(290), backward(290);
  for (std::size_t i = 0; i < kDocuments.size(); ++i) {
    forward.add(kDocuments[i]);
    backward.add(kDocuments[kDocuments.size() - 1 - i]);
  }
  CHECK(forward.finish() == backward.finish());
}

TEST_CASE("a text with few pairs gives a smaller vocabulary") {
  CHECK(trained(1000, {"abab"}).at("model").at("vocab").size() == 263 + 2);  // ab, abab
  CHECK(trained(1000, {}).at("model").at("merges").empty());
}

TEST_CASE("two ways to the same string share a token") {
  // "abc" is reached as ab+c (where ab is frequent) and as a+bc; its token is made once.
  std::string text;
  for (int i = 0; i < 20; ++i) text += "xab abc ";
  for (int i = 0; i < 30; ++i) text += "bcbc bcy ";
  const json file = trained(7 + 256 + 12, {text});
  std::set<json> rules(file.at("model").at("merges").begin(), file.at("model").at("merges").end());
  CHECK(rules.size() == file.at("model").at("merges").size());
  Tokenizer t = Tokenizer::from_json(file.dump(), "trained");
  CHECK(t.decode(t.encode(text)) == text);
}

TEST_CASE("a vocabulary without room for the bytes is refused") {
  CHECK(eddy_test::lacks(eddy_test::refusal([] { BpeTrainer{262}; }), {"262", "263"}) == "");
  CHECK(eddy_test::lacks(eddy_test::refusal([] { BpeTrainer{std::size_t{1} << 40}; }), {"1099511627776"}) == "");
  BpeTrainer bytes_only(256, {});
  bytes_only.add("ab ab");
  CHECK(json::parse(bytes_only.finish()).at("model").at("vocab").size() == 256);
}
