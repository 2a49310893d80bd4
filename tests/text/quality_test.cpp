// Quality rules: quantities worked by hand, papers that pass, and each rule broken by a text made for it.
#include "text/quality.h"

#include <algorithm>

#include "base/rng.h"
#include "catch.h"

using namespace eddy::text;

namespace {
double value(std::string_view text, std::string_view rule) {
  const auto rules = default_quality_rules();
  const auto measured = measure_quality(text);
  for (std::size_t i = 0; i < rules.size(); ++i)
    if (rules[i].name == rule) return measured[i];
  FAIL("no rule " << rule);
  return 0;
}
/// Paragraphs of made-up words between English function words.
std::string paper(int paragraphs, int words) {
  const std::vector<std::string> function{"the", "of", "and", "to", "is", "that", "with", "for", "we", "in"};
  std::string out;
  for (int p = 0; p < paragraphs; ++p) {
    for (int w = 0; w < words; ++w) {
      const auto r = eddy::philox(5, static_cast<std::uint64_t>(p) * 1000 + static_cast<std::uint64_t>(w));
      if (r[0] % 3 == 0) {
        out += function[r[1] % function.size()];
      } else {
        for (std::uint32_t c = 0; c < 4 + r[1] % 6; ++c) out += static_cast<char>('a' + eddy::philox(r[2], c)[0] % 26);
      }
      out += ' ';
    }
    out += "\n\n";
  }
  return out;
}
std::vector<std::string> broken(std::string_view text) {
  const auto rules = default_quality_rules();
  std::vector<std::string> names;
  for (std::size_t i : broken_rules(rules, measure_quality(text))) names.emplace_back(rules[i].name);
  return names;
}
bool breaks(std::string_view text, const std::string& rule) {
  const auto names = broken(text);
  return std::find(names.begin(), names.end(), rule) != names.end();
}
}  // namespace

TEST_CASE("quantities worked by hand") {
  CHECK(value("one two three", "min-words") == 3);
  CHECK(value("one two three", "min-word-length") == approx(11.0 / 3));
  CHECK(value("a #b 12 -", "max-hashes") == approx(0.25));
  CHECK(value("a #b 12 -", "min-alphabetic") == approx(0.5));
  CHECK(value("- a\n- b\nc", "max-bullet-lines") == approx(2.0 / 3));
  CHECK(value("and so...\non\n", "max-ellipsis-lines") == approx(0.5));
  CHECK(value("The end of THE world", "min-stop-words") == 2);
  CHECK(value("the end of The world", "max-top-word") == approx(0.4));
  CHECK(value("ab\nab\ncd\nef", "max-repeated-lines") == approx(0.25));
  CHECK(value("a b\n\nc\n\na b\n", "max-repeated-paragraphs") == approx(1.0 / 3));
  CHECK(value("a b\n\nc\n\na b\n", "min-paragraphs") == 3);
  CHECK(value("ab cd xx ab cd yy", "max-top-2") == approx(8.0 / 12));
  CHECK(value("a b c d e x a b c d e", "max-repeated-5") == approx(5.0 / 11));
  CHECK(value("Lorem ipsum dolor", "max-lorem-ipsum") == 1);
  CHECK(value("7 7 a", "min-top-word-alphabetic") == 0);
  for (const double v : measure_quality("")) CHECK((v == 0 || v == 1));
}

TEST_CASE("a paper passes, and texts made to break a rule do") {
  const std::string good = paper(12, 80);
  CHECK(broken(good) == std::vector<std::string>{});
  CHECK(breaks(paper(3, 300), "min-paragraphs"));
  CHECK(breaks(paper(12, 10), "min-words"));
  CHECK(breaks(good + good, "max-repeated-paragraphs"));
  CHECK(breaks(good + good, "max-repeated-10"));
  std::string numbers = good;
  for (int i = 0; i < 500; ++i) numbers += std::to_string(i * 7919) + " ";
  CHECK(breaks(numbers, "min-alphabetic"));
  std::string repeated = good;
  for (int i = 0; i < 200; ++i) repeated += "data ";
  CHECK(breaks(repeated, "max-top-word"));
  auto rules = default_quality_rules();
  rules[0].limit = 5000;
  CHECK(broken_rules(rules, measure_quality(good)) == std::vector<std::size_t>{0});
}
