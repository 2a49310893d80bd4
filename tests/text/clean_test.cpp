// Cleaning of text: UTF-8, NFC, line ends, control characters.
#include "text/clean.h"

#include "catch.h"

using namespace eddy::text;

TEST_CASE("plain text is left as it is") {
  const std::string text = "Let $f\\colon \\mathbb{R}\\to\\mathbb{R}$;\n\tthen 数学 ½ 𝔸.\n";
  const Cleaned c = clean(text);
  CHECK(c.text == text);
  CHECK(c.invalid == 0);
  CHECK(c.controls == 0);
  CHECK(clean("").text.empty());
}

TEST_CASE("ill-formed UTF-8 is replaced by its maximal subparts") {
  // Unicode 15, table 3-8: 61 F1 80 80 E1 80 C2 62 80 63 80 BF 64
  const Cleaned c = clean("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64");
  CHECK(c.text == "a\uFFFD\uFFFD\uFFFDb\uFFFDc\uFFFD\uFFFDd");
  CHECK(c.invalid == 6);
  CHECK(clean("\xC0\xAF").invalid == 2);          // overlong
  CHECK(clean("\xED\xA0\x80").invalid == 3);      // a surrogate
  CHECK(clean("\xF4\x90\x80\x80").invalid == 4);  // above U+10FFFF
  CHECK(clean("caf\xE9").text == "caf\uFFFD");    // Latin-1, at the end
}

TEST_CASE("text is composed") {
  CHECK(clean("e\u0301").text == "\u00E9");
  CHECK(clean("\u212B").text == "\u00C5");                            // the angstrom sign
  CHECK(clean("\u1100\u1161").text == "\uAC00");                      // Hangul
  CHECK(clean("a\u0323\u0307").text == clean("a\u0307\u0323").text);  // order of marks
  CHECK(clean("\uFB01 x\u00B2").text == "\uFB01 x\u00B2");            // compatibility characters stay: NFC, not NFKC
}

TEST_CASE("marks without end are parted, as Unicode's stream-safe text is") {
  const auto marked = [](int n) {
    std::string out = "a";
    for (int i = 0; i < n; ++i) out += i % 2 ? "\u0316" : "\u0301";  // below, above: NFC sorts them
    return out;
  };
  CHECK(clean(marked(30)).text.find("\u034F") == std::string::npos);
  const std::string text = clean(marked(65)).text;
  CHECK(text.size() == marked(65).size() + 2 * 2 - 1);  // two joiners; a and its acute become one letter
  CHECK(clean(text).text == text);
  CHECK(clean(marked(1'000'000)).text.size() < 2'100'000);  // parted, it takes no minutes
}

TEST_CASE("line ends become \\n and controls go") {
  CHECK(clean("a\r\nb\rc\fd\ve\u0085f").text == "a\nb\nc\nd\ne\nf");
  const Cleaned c = clean(std::string("a\0b\x1B[0m\x7F\u0081\uFFFE", 13));
  CHECK(c.text == "ab[0m");
  CHECK(c.controls == 5);
  CHECK(clean("\uFEFFtext").text == "text");
  CHECK(clean("te\uFEFFxt").text == "te\uFEFFxt");
}

TEST_CASE("characters and blanks") {
  CHECK(count_characters("aé数𝔸") == 4);
  CHECK(is_blank(" \n\t\u00A0\u2003"));
  CHECK(is_blank(""));
  CHECK_FALSE(is_blank(" . "));
}
