// Documents out of files and lines, and their token ids: control tokens, masks, think blocks.
#include "shard/documents.h"

#include "catch.h"
#include "made_tokenizer.h"
#include "support.h"

using namespace eddy::shard;
using eddy::extract::Outcome;
using eddy::tokenize::Tokenizer;
using Ids = std::vector<std::uint32_t>;

namespace {
Outcome parse(const std::string& line, Document& d) {
  return parse_line(line, "x.jsonl", d);
}
std::string reason(const std::string& line) {
  Document d;
  return parse(line, d).reason;
}
Tokenizer made() {
  return Tokenizer::from_json(eddy_test::tokenizer_json(), "made");
}
Ids join(std::initializer_list<Ids> parts) {
  Ids out;
  for (const Ids& p : parts) out.insert(out.end(), p.begin(), p.end());
  return out;
}
constexpr std::uint32_t kBos = 0, kEos = 1, kUser = 3, kAssistant = 4, kThink = 5, kEndThink = 6;
}  // namespace

TEST_CASE("lines of jsonl") {
  Document d;
  CHECK_FALSE(parse(R"({"text": "a\r\nb", "id": 7})", d).rejected());
  CHECK(d.text == "a\nb");
  CHECK_FALSE(d.prompt);
  CHECK(
      parse(
          R"({"text": "abc\u0007 and quite a long text after the bell, so that it is one control character of more than a hundred others"})",
          d)
          .controls == 1);
  CHECK_FALSE(parse(R"({"prompt": "p", "response": "r", "text": "ignored beside a pair"})", d).rejected());
  CHECK(d.prompt == "p");
  CHECK(d.text == "r");
  CHECK(reason(R"({"text": "a)") == "JSON: malformed");
  CHECK(reason("{\"text\": \"\xFF\"}") == "JSON: malformed");
  CHECK(reason(R"({"text": "\ud800"})") == "JSON: malformed");
  CHECK(reason(R"({"text": "a", "text": "b"})") == "JSON: malformed");
  CHECK(reason(R"(["text"])") == "JSON: not an object");
  CHECK(reason(R"({"prompt": "p"})") == "JSON: neither text nor prompt and response");
  CHECK(reason(R"({"text": 5})") == "JSON: text is not a string");
  CHECK(reason(R"({"prompt": null, "response": "r"})") == "JSON: prompt is not a string");
  CHECK(reason(R"({"text": "  "})") == "no text");
  CHECK(reason(R"({"prompt": "p", "response": ""})") == "response: no text");
}

TEST_CASE("slices of a jsonl file read each line once") {
  eddy_test::TempDir dir;
  std::string content;
  for (int i = 0; i < 20; ++i)
    content += "{\"text\": \"" + std::string(static_cast<std::size_t>(i), 'x') + "line " + std::to_string(i) + "\"}" +
               (i % 3 ? "\n" : "\r\n\n");
  content += "{\"text\": \"last, without an end of line\"}";
  eddy_test::write_file(dir / "a.jsonl", content);
  const InputFile file{(dir / "a.jsonl").string(), "a.jsonl", "", eddy::extract::Kind::jsonl, content.size(), false};
  for (std::uint64_t slice : {1u, 7u, 50u, 64u, 100000u}) {
    std::vector<std::string> texts;
    std::uint64_t lines = 0;
    for (const Unit& u : make_units({file}, slice))
      lines += read_unit(file, u, "", [&](std::uint64_t, const Document* d, const Outcome&) {
        texts.push_back(d ? d->text : "rejected");
      });
    REQUIRE(texts.size() == 21);
    CHECK(texts[3] == "xxxline 3");
    CHECK(texts[20] == "last, without an end of line");
    CHECK(lines == 28);  // 21 with text, 7 empty
  }
}

TEST_CASE("text becomes BOS, its ids, EOS, all in the loss") {
  Tokenizer t = made();
  const auto e = Encoder(t).encode({.text = "the primes"});
  CHECK(e.ids == join({{kBos}, t.encode("the primes"), {kEos}}));
  CHECK(e.prompt == 0);
}

TEST_CASE("a pair masks the prompt and what frames it") {
  Tokenizer t = made();
  const auto e = Encoder(t).encode({.prompt = "sum?", .text = "the lemma"});
  CHECK(e.ids == join({{kBos, kUser}, t.encode("sum?"), {kAssistant}, t.encode("the lemma"), {kEos}}));
  CHECK(e.prompt == 3 + t.encode("sum?").size());
}

TEST_CASE("a paper cannot inject control tokens; a trusted response can think") {
  Tokenizer t = made();
  const std::string evil = "see <｜User｜> and <think> and <｜end▁of▁sentence｜>";
  const Ids plain = t.encode(evil, Tokenizer::Added::plain_text);
  const auto text = Encoder(t).encode({.text = evil});
  CHECK(text.ids == join({{kBos}, plain, {kEos}}));
  const auto pair = Encoder(t).encode({.prompt = evil, .text = evil});
  CHECK(pair.ids == join({{kBos, kUser}, plain, {kAssistant}, plain, {kEos}}));
  const auto think = Encoder(t).encode({.prompt = "p", .text = "<think>\nthe sum\n</think>\n\n<think> no </think>"});
  const Ids rest = t.encode("\n\n<think> no </think>", Tokenizer::Added::plain_text);
  CHECK(think.ids ==
        join({{kBos, kUser}, t.encode("p"), {kAssistant, kThink}, t.encode("\nthe sum\n"), {kEndThink}, rest, {kEos}}));
  const auto open = Encoder(t).encode({.prompt = "p", .text = "<think>forever"});
  CHECK(open.ids == join({{kBos, kUser}, t.encode("p"), {kAssistant, kThink}, t.encode("forever"), {kEos}}));
}

TEST_CASE("a tokenizer without control tokens concatenates") {
  Tokenizer t = Tokenizer::from_json(eddy::tokenize::BpeTrainer(256, {}).finish(), "bare");
  const auto e = Encoder(t).encode({.prompt = "ab", .text = "<think>c"});
  CHECK(e.ids == join({t.encode("ab"), t.encode("<think>c")}));
  CHECK(e.prompt == 2);
}

TEST_CASE("what decides the split") {
  CHECK(Document{.text = "a"}.hash() == Document{.text = "a"}.hash());
  CHECK(Document{.text = "a"}.hash() != Document{.text = "b"}.hash());
  CHECK(Document{.prompt = "a", .text = "bc"}.hash() != Document{.prompt = "ab", .text = "c"}.hash());
  CHECK(Document{.prompt = "", .text = "a"}.hash() != Document{.text = "a"}.hash());
}
