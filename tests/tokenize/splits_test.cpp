// DeepSeek-V3's splits: the hand-written scanner against the same splits run by PCRE2, and worked cases.
#include "tokenize/deepseek_splits.h"

#include "catch.h"
#include "tokenize/pretokenizer.h"
#include "toy.h"

using namespace eddy::tokenize;
using eddy_test::NastyStrings;

namespace {

const PreTokenizer& engine(PreTokenizer::Engine which) {
  const PreTokenizerRule rule{.splits = DeepSeekSplits::rules()};
  static const PreTokenizer fastest(rule), pcre2(rule, PreTokenizer::Engine::pcre2);
  return which == PreTokenizer::Engine::fastest ? fastest : pcre2;
}

std::vector<std::string> pieces(const std::string& text, PreTokenizer::Engine which = PreTokenizer::Engine::fastest) {
  MatchScratch scratch;
  std::vector<std::string> out;
  engine(which).for_each(text, scratch, [&](const Piece& p) { out.push_back(text.substr(p.begin, p.end - p.begin)); });
  return out;
}
using Pieces = std::vector<std::string>;

}  // namespace

TEST_CASE("the scanner is what runs for DeepSeek's splits") {
  CHECK(engine(PreTokenizer::Engine::fastest).deepseek() != nullptr);
  CHECK(engine(PreTokenizer::Engine::pcre2).deepseek() == nullptr);
  PreTokenizerRule rule{.splits = DeepSeekSplits::rules()};
  CHECK(DeepSeekSplits::recognise(rule));
  rule.splits[1].pattern += "?";
  CHECK_FALSE(DeepSeekSplits::recognise(rule));
  rule = {.splits = DeepSeekSplits::rules(), .gpt2_split = true};
  CHECK_FALSE(DeepSeekSplits::recognise(rule));
}

TEST_CASE("worked splits") {
  CHECK(pieces("a   1") == Pieces{"a", "   ", "1"});  // the piece ends at the number: three spaces stay together
  CHECK(pieces("a   b") == Pieces{"a", "  ", " b"});  // two, and one with the word
  CHECK(pieces("1234567") == Pieces{"123", "456", "7"});
  CHECK(pieces("x1y") == Pieces{"x", "1", "y"});
  CHECK(pieces("\\alpha_{ij}") == Pieces{"\\alpha", "_{", "ij", "}"});
  CHECK(pieces("a \n \n  b") == Pieces{"a", " \n \n", " ", " b"});
  CHECK(pieces("a.\r\n\nb") == Pieces{"a", ".\r\n\n", "b"});
  CHECK(pieces(" $x$ ") == Pieces{" $", "x", "$", " "});
  CHECK(pieces("漢字カナ・x") == Pieces{"漢字カナ", "・", "x"});
  CHECK(pieces("a漢") == Pieces{"a", "漢"});
  CHECK(pieces("\u0001\u0002 a") == Pieces{"\u0001\u0002", " a"});  // what nothing matches stays together
  CHECK(pieces("\u0001\u0002a") == Pieces{"\u0001", "\u0002a"});
  CHECK(pieces("").empty());
}

TEST_CASE("ill-formed UTF-8 is cut out before the splits") {
  for (const auto which : {PreTokenizer::Engine::fastest, PreTokenizer::Engine::pcre2}) {
    CHECK(pieces("ab\xFF\xC3"
                 "cd",
                 which) == Pieces{"ab", "\xFF\xC3", "cd"});
    CHECK(pieces("a  \xE2\x82", which) == Pieces{"a", "  ", "\xE2\x82"});
  }
}

TEST_CASE("scanner and PCRE2 agree on random strings") {
  NastyStrings strings(20240607);
  std::size_t compared = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text = strings.next();
    if (i % 10 == 0) text[text.size() / 2] = static_cast<char>(0x80 + i / 10 % 128);  // often no longer UTF-8
    const Pieces fast = pieces(text), slow = pieces(text, PreTokenizer::Engine::pcre2);
    compared += fast.size();
    if (fast != slow) {
      CAPTURE(text);
      CHECK(fast == slow);
      break;
    }
  }
  CHECK(compared > 100000);
}

TEST_CASE("scanner and PCRE2 agree on every code point between letters, spaces, symbols") {
  std::string text;
  for (std::uint32_t c = 0; c <= kMaxCodePoint; ++c) {
    if ((c >= 0xD800 && c <= 0xDFFF) || (c >= 0x40000 && c < 0xE0000)) continue;  // planes without assignments
    append_utf8(text, c);
    text += "aA"[c % 2];
    append_utf8(text, c);
    text += c % 3 == 0 ? " " : c % 3 == 1 ? "$" : "";
  }
  const Pieces fast = pieces(text), slow = pieces(text, PreTokenizer::Engine::pcre2);
  CHECK(fast.size() > 500000);
  CHECK((fast == slow));
}
