#include "tokenize/unicode.h"

#include <set>

#include "catch.h"
#include "tokenize/byte_level.h"

using namespace eddy::tokenize;

namespace {
std::size_t count(const Ranges& ranges) {
  std::size_t n = 0;
  for (const auto& [first, last] : ranges) n += last - first + 1;
  return n;
}
}  // namespace

TEST_CASE("categories are Unicode 16's, as oniguruma counts them") {
  CHECK(count(category_ranges(category_set("L"))) == 141028);
  CHECK(count(category_ranges(category_set("M"))) == 2501);
  CHECK(count(category_ranges(category_set("N"))) == 1911);
  CHECK(count(category_ranges(category_set("P"))) == 855);
  CHECK(count(category_ranges(category_set("S"))) == 8514);
  CHECK(count(word_ranges()) == 144671);
  CHECK(count(space_ranges()) == 25);
  CHECK(category('A') == Category::Lu);
  CHECK(category(0x10FFFF) == Category::Cn);
  CHECK(category(0xD800) == Category::Cs);
  CHECK(category(0x1CC00) == Category::So);  // new in Unicode 16
  CHECK(category_set("X") == 0);
  CHECK(category_set("") == 0);
}

TEST_CASE("white space is not what only looks like it") {
  for (const std::uint32_t c : {0x20, 0x85, 0xA0, 0x2028, 0x3000}) CHECK(is_space(c));
  for (const std::uint32_t c : {0x180E, 0x200B, 0xFEFF, 0x1F}) CHECK_FALSE(is_space(c));
}

TEST_CASE("a set of ranges and its complement cover everything but the surrogates, once") {
  const Ranges letters = category_ranges(category_set("L"));
  CHECK(unite(letters, complement(letters)) == Ranges{{0, 0xD7FF}, {0xE000, kMaxCodePoint}});
  CHECK(count(letters) + count(complement(letters)) == 0x110000 - 0x800);
  CHECK(complement(complement(letters)) == letters);
  CHECK(contains(letters, 'z'));
  CHECK_FALSE(contains(letters, '{'));
}

TEST_CASE("every code point survives UTF-8") {
  for (std::uint32_t c = 0; c <= kMaxCodePoint; c += c < 0x3000 ? 1 : 37) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    append_utf8(text, c);
    const Decoded d = decode_utf8(text.data());
    if (character_length(text) != text.size() || d.code_point != c || d.length != text.size()) FAIL("code point " << c);
  }
  SUCCEED();
}

TEST_CASE("ill-formed UTF-8 is told") {
  for (const char* bad : {"\x80", "\xC0\x80", "\xC1\xBF", "\xC3", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xE2\x82",
                          "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xC3(", "\xE2(\xAC"})
    CHECK(character_length(bad) == 0);
  CHECK(character_length("") == 0);
  CHECK(valid_utf8_prefix("abcdefgh\xC3\xA9xyz\xFFq") == 13);
  CHECK(valid_utf8_prefix("abcdefghijklmno\xE2\x82") == 15);
  CHECK(valid_utf8_prefix("") == 0);
}

TEST_CASE("bytes are spelled by 256 different characters") {
  const auto& table = byte_characters();
  CHECK(std::set<std::uint32_t>(table.begin(), table.end()).size() == 256);
  CHECK(spell(" the\n") == "ĠtheĊ");
  CHECK(unspell("ĠtheĊ") == " the\n");
  CHECK_FALSE(unspell("<｜User｜>").has_value());
  CHECK_FALSE(unspell(" ").has_value());  // a space is spelled Ġ
  CHECK_FALSE(unspell("\xFF").has_value());
  CHECK(bytes_by_character()[0] == '!');
  CHECK(bytes_by_character()[188 + 10] == '\n');  // after the 188 printable ones, in order
}
