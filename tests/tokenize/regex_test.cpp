#include "tokenize/regex.h"

#include "refusal.h"
#include "tokenize/unicode.h"

using namespace eddy::tokenize;
using eddy_test::refusal;

namespace {
/// What `pattern` matches in `text`, each in brackets.
std::string matches(const std::string& pattern, const std::string& text) {
  const Regex regex(pattern);
  MatchScratch scratch;
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const auto match = regex.find(text, at, scratch);
    if (!match) break;
    out += "[" + text.substr(match->begin, match->end - match->begin) + "]";
    at = match->end + (match->begin == match->end ? 1 : 0);
  }
  return out;
}
}  // namespace

TEST_CASE("oniguruma's classes, not PCRE2's") {
  CHECK(matches(R"(\s+)",
                "a\u180Eb\u200Bc\u3000\x0b"
                "d") == "[\u3000\x0b]");
  CHECK(matches(R"(\S+)", "a\u180E b") == "[a\u180E][b]");
  CHECK(matches(R"(\h+)", "xAf9 g") == "[Af9]");
  CHECK(matches(R"(\p{L}+)", "\ua7cb1a") == "[\ua7cb][a]");  // Unicode 16
  CHECK(matches(R"(\P{L}+)", "\ua7cb1a2") == "[1][2]");
  CHECK(matches(R"(\p{^L}+)", "a12b") == "[12]");
  CHECK(matches(R"([^\p{L}\d]+)", "a1.-b") == "[.-]");
  CHECK(matches(R"([\S\n]+)", "ab \n c") == "[ab][\n][c]");
  CHECK(matches(R"(\w+)", "a_é² b") == "[a_é²][b]");
  CHECK(matches(R"(\p{Han}+)", "ab漢字c") == "[漢字]");
  CHECK(matches(".+", "ab\ncd\r") == "[ab][cd\r]");
  CHECK(matches("^.|.$", "ab\ncd") == "[a][b][c][d]");
  CHECK(matches(R"(\bx)", "x ax éx") == "[x]");
  CHECK(matches(R"(\Bx)", "x ax éx") == "[x][x]");
}

TEST_CASE("literals, escapes and repeats") {
  CHECK(matches(R"([\]\-a]+)", "x]-ab") == "[]-a]");
  CHECK(matches("[]a]+", "]a[") == "[]a]");
  CHECK(matches("[a-]+", "b-a-") == "[-a-]");
  CHECK(matches(R"(\x41\x{42}\u0043\t)", "ABC\t") == "[ABC\t]");
  CHECK(matches("# x", "# x#x") == "[# x]");
  CHECK(matches("x{,2}y", "xxxy") == "[xxy]");
  CHECK(matches("x{2,}", "x xx xxx") == "[xx][xxx]");
  CHECK(matches("a{", "a{ a") == "[a{]");
  CHECK(matches("a++b|a+?", "aaab aa") == "[aaab][a][a]");
  CHECK(matches("(?i:'S|é)x?", "'s É ÉX") == "['s][É][É]");
  CHECK(matches("(?i)ab", "AB") == "[AB]");
  CHECK(matches("(?>a|ab)c|(a)(?=b)", "abc ab") == "[a][a]");
  CHECK(matches("(?<=a)b(?!c)", "abc ab") == "[b]");
  CHECK(matches(quote("a.b*[\n"), "a.b*[\n axb") == "[a.b*[\n]");
}

TEST_CASE("what has no equal is refused, named") {
  const auto says = [](const std::string& pattern, const std::string& part) {
    CHECK_THAT(refusal([&] { Regex{pattern}; }), contains_text(part) && contains_text("regular expression"));
  };
  says("a{2}+", "'+' after an interval");
  says("a{2}?", "'?' after a fixed interval");
  says("[a[b]]", "a nested class");
  says("[a-z&&b]", "a class intersection");
  says(R"((a)\1)", R"(the escape '\1')");
  says("(?m:a)", "the group '(?m:'");
  says("(?<name>a)", "the group '(?<n'");
  says("a(?i)b", "the group '(?i)'");
  says("(*FAIL)", "the group '(*FA'");
  says(R"(\R)", R"(the escape '\R')");
  says(R"(\p{Klingon})", "unknown");
  says(R"(\pL)", "an unfinished property");
  says("[abc", "an early end");
  says("(abc", "parenthes");
  says("abc)", "an unmatched ')'");
  says("*a", "quantifier");
  says(R"(\x{110000})", "a bad hexadecimal escape");
  says(R"((?i:\p{Lu}))", "a case property");
  says("\xFF", "malformed UTF-8");
  says("a\\", "an early end");
}

TEST_CASE("a pattern is not translated further than PCRE2 could take it, and errors do not repeat all of it") {
  const auto repeated = [](std::string_view part, int n) {
    std::string out;
    for (int i = 0; i < n; ++i) out += part;
    return out;
  };
  // Each of these two to six bytes is up to 60 kB of ranges: the place of the refusal is the work that was done.
  const auto stopped_at = [&](const std::string& pattern) {
    const std::string what = refusal([&] { translate_oniguruma(pattern); });
    CHECK_THAT(what, contains_text("more than 4 MiB once written out") && contains_text(" bytes)"));
    CHECK(what.size() < 700);
    return std::stoul(what.substr(what.rfind("at byte ") + 8));
  };
  CHECK(stopped_at(repeated(R"(\b)", 100'000)) < 2 * 120);
  CHECK(stopped_at(repeated(R"(\w)", 100'000)) < 2 * 480);
  CHECK(stopped_at("[a" + repeated(R"(\P{L})", 100'000) + "]") < 6 * 700);
  CHECK(translate_oniguruma(repeated(R"(\b)", 20)).size() < 4 << 20);
  const std::string what = refusal([&] { Regex(repeated("(", 5000)); });
  CHECK_THAT(what, contains_text("(((… (5000 bytes)"));
  CHECK(what.size() < 700);
}

TEST_CASE("a run of two million characters stays within PCRE2's limits") {
  const Regex regex(R"(\s*[\r\n]+|\s+(?!\S)|\s+|(?:[a-z]\d?)+)");
  MatchScratch scratch;
  for (const char c : {' ', 'a'}) {
    const std::string text(2 << 20, c);
    const auto match = regex.find(text, 0, scratch);
    REQUIRE(match);
    CHECK(match->end == text.size());
  }
}
