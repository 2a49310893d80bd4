#include "tokenize/tokenizer.h"

#include <thread>

#include "base/hash.h"
#include "catch.h"
#include "support.h"
#include "toy.h"

using namespace eddy::tokenize;
using eddy_test::added;
using eddy_test::json;
using eddy_test::toy;
using Ids = std::vector<std::uint32_t>;

namespace {
Tokenizer make(const json& file) {
  return Tokenizer::from_json(file.dump(), "toy");
}
std::string random_bytes(std::mt19937& random, std::size_t n) {
  std::string out(n, '\0');
  for (char& c : out) c = static_cast<char>(random());
  return out;
}
}  // namespace

TEST_CASE("encoding by hand") {
  // 256 "ab", 257 "abc", 258 " a"
  Tokenizer t = make(toy({"a b", "ab c", "Ġ a"}));
  CHECK(t.encode("abcab") == Ids{257, 256});
  CHECK(t.encode(" abc") == Ids{' ', 257});  // a b has the lower rank
  CHECK(t.encode(" ac") == Ids{258, 'c'});
  CHECK(t.encode("").empty());
  CHECK(t.vocab_size() == 259);
  CHECK(t.id_of("Ġa") == 258u);
  CHECK_FALSE(t.id_of(" a").has_value());
  CHECK(t.bytes_of(258) == " a");
  CHECK(t.decode(Ids{257, 258}) == "abc a");
}

TEST_CASE("added tokens are cut out, longest first, unless the text is a stranger's") {
  json file = toy({"a b"});
  file["added_tokens"] = {added(300, "<s>"), added(301, "<s>ab", false),
                          added(256, "ab", false, {{"normalized", true}})};
  Tokenizer t = make(file);
  CHECK(t.vocab_size() == 302);
  CHECK(t.encode("<s>b<s>abab") == Ids{300, 'b', 301, 256});
  CHECK(t.encode("<s><s", Tokenizer::Added::plain_text) == Ids{'<', 's', '>', '<', 's'});
  CHECK(t.encode("<s>ab", Tokenizer::Added::plain_text) == Ids{'<', 's', '>', 256});
  CHECK(t.id_of("<s>") == 300u);
  CHECK(t.is_special(300));
  CHECK_FALSE(t.is_special(301));
  CHECK_FALSE(t.is_special(299));
  CHECK(t.decode(Ids{300, 'x', 301}) == "<s>x<s>ab");
  CHECK(t.decode(Ids{300, 'x', 301}, Tokenizer::Special::skipped) == "x<s>ab");
}

TEST_CASE("an id that is no token is shown, not skipped") {
  json file = toy();
  file["added_tokens"] = {added(258, "<s>")};
  const Tokenizer t = make(file);
  CHECK(t.decode(Ids{'a', 256, 'b', 258, 4000000000u}) == "a\uFFFDb<s>\uFFFD");
  CHECK_FALSE(t.bytes_of(257).has_value());
}

TEST_CASE("single words, spaces taken along") {
  json file = toy();
  file["added_tokens"] = {added(300, "word", false, {{"single_word", true}}),
                          added(301, "<m>", true, {{"lstrip", true}}), added(302, "<r>", true, {{"rstrip", true}})};
  Tokenizer t = make(file);
  CHECK(t.encode("word,word") == Ids{300, ',', 300});
  CHECK(t.encode("words").size() == 5);
  CHECK(t.encode("éword").size() == 6);
  CHECK(t.encode("a \u3000<m> b") == Ids{'a', 301, ' ', 'b'});
  CHECK(t.encode("<r> \n <m>") == Ids{302, 301});  // the spaces are the first one's
  const auto spans = t.encode_with_offsets("a  <m>b");
  REQUIRE(spans.size() == 3);
  CHECK(spans[1].begin == 1);
  CHECK(spans[1].end == 6);
}

TEST_CASE("offsets tile the text") {
  json file = toy({"a b", "Ġ a"});
  file["added_tokens"] = {added(300, "<s>")};
  Tokenizer t = make(file);
  const std::string text = "é ab<s> a\xFF\xFE漢";
  std::size_t at = 0;
  Ids ids;
  for (const TokenSpan& span : t.encode_with_offsets(text)) {
    CHECK(span.begin == at);
    at = span.end;
    CHECK(t.decode(Ids{span.id}) == text.substr(span.begin, span.end - span.begin));
    ids.push_back(span.id);
  }
  CHECK(at == text.size());
  CHECK(ids == t.encode(text));
}

TEST_CASE("any bytes come back") {
  json file = toy({"Ã ©", "Ġ Ġ"});
  file["pre_tokenizer"]["use_regex"] = true;
  file["added_tokens"] = {added(300, "<é>")};
  Tokenizer t = make(file);
  CHECK(t.decode(t.encode("\xC3\xA9<\xC3\xA9>\xC3<\xC3>")) == "\xC3\xA9<\xC3\xA9>\xC3<\xC3>");
  CHECK(t.encode("\xC3\xA9") == Ids{256});
  std::mt19937 random(5);
  for (int i = 0; i < 300; ++i) {
    const std::string bytes = random_bytes(random, 1 + random() % 100);
    if (t.decode(t.encode(bytes)) != bytes) FAIL("round " << i);
  }
}

TEST_CASE("the cache changes nothing: more pre-tokens than it holds, short, long and many-token ones") {
  json file = toy({"0 1", "2 3", "Ġ 0"});
  file["pre_tokenizer"]["use_regex"] = true;
  Tokenizer warm = make(file);
  std::mt19937 random(9);
  std::string text;
  for (int i = 0; i < 90000; ++i) {
    text += ' ';
    const int bits = i % 50 == 0 ? 400 : 20;  // some pre-tokens are longer than the cache takes
    for (int b = 0; b < 6 + bits % 7 + (i % 50 == 0 ? 300 : i % 13); ++b) text += static_cast<char>('0' + random() % 4);
  }
  const Ids ids = warm.encode(text);
  CHECK(warm.encode(text) == ids);
  Ids of_offsets;  // computed without the cache
  for (const TokenSpan& span : warm.encode_with_offsets(text)) of_offsets.push_back(span.id);
  CHECK(of_offsets == ids);
}

TEST_CASE("a clone shares the tables and works beside the original") {
  Tokenizer first = make(toy({"a b", "b a"}));
  Tokenizer second = first.clone();
  CHECK(second.file_bytes().data() == first.file_bytes().data());
  CHECK(second.hash() == eddy::xxh3(first.file_bytes()));
  std::string text;
  for (int i = 0; i < 20000; ++i) text += i % 3 ? "ab" : "ba ";
  Ids one, two;
  std::thread thread([&] { one = first.encode(text); });
  two = second.encode(text);
  thread.join();
  CHECK(one == two);
  CHECK(first.decode(one) == text);
}

TEST_CASE("a pre-token that is a token stays whole where merges are ignored") {
  json file = toy({"a b", "ab c"});
  file["pre_tokenizer"]["use_regex"] = true;
  file["model"]["merges"] = json::array();
  CHECK(make(file).encode("abc ab").size() == 6);
  file["model"]["ignore_merges"] = true;
  CHECK(make(file).encode("abc ab") == Ids{257, ' ', 'a', 'b'});  // " ab" is no token
}

TEST_CASE("bytes without a token are dropped, or unknown, as in Hugging Face's library") {
  json file = toy();
  file["model"]["vocab"].erase("x");
  file["model"]["vocab"].erase("y");
  CHECK(make(file).encode("axyb") == Ids{'a', 'b'});
  file["model"]["vocab"]["<unk>"] = 256;
  file["model"]["unk_token"] = "<unk>";
  CHECK(make(file).encode("axyb") == Ids{'a', 256, 256, 'b'});
  file["model"]["fuse_unk"] = true;
  Tokenizer fused = make(file);
  CHECK(fused.encode("axyb") == Ids{'a', 256, 'b'});
  for (const TokenSpan& span : fused.encode_with_offsets("axyb")) {
    CHECK(span.begin == 0);
    CHECK(span.end == 4);
  }
}

TEST_CASE("runs of two million characters encode and decode") {
  Tokenizer t = make(toy({"a a", "aa aa", "Ġ Ġ"}));
  for (const char c : {'a', ' ', '1'}) {
    const std::string text(2 << 20, c);
    const Ids ids = t.encode(text);
    CHECK(ids.size() == text.size() / (c == 'a' ? 4 : c == ' ' ? 2 : 1));
    CHECK(t.decode(ids) == text);
  }
}
