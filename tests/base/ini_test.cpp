// INI files: sections, comments, quotes, line numbers.
#include "base/ini.h"

#include "base/error.h"
#include "catch.h"

using eddy::ini_value;
using eddy::parse_ini;

namespace {
/// "key=value@line" of every entry.
std::vector<std::string> entries(const std::string& text) {
  std::vector<std::string> out;
  for (const auto& e : parse_ini(text, "f.ini")) out.push_back(e.key + "=" + e.value + "@" + std::to_string(e.line));
  return out;
}
using List = std::vector<std::string>;
}  // namespace

TEST_CASE("sections, comments, blanks, line ends") {
  CHECK(entries("") == List{});
  CHECK(entries("\xEF\xBB\xBF"
                "a=1\r\n# note\r\n; note\r\n\r\n [ s.t ] ; note\r\n b = 2 # note\r\nc=x#y;z\r\n") ==
        List{"a=1@1", "s.t.b=2@6", "s.t.c=x#y;z@7"});
  CHECK(entries("a =\nb = x = y\nc = # empty\n") == List{"a=@1", "b=x = y@2", "c=@3"});
  CHECK(entries("last = line") == List{"last=line@1"});
}

TEST_CASE("quotes") {
  CHECK(entries(R"(a = " x # y " # note)") == List{"a= x # y @1"});
  CHECK(entries(R"(a = "\"\\\n")") == List{"a=\"\\\n@1"});
  CHECK(entries(R"(a = it's "so")") == List{"a=it's \"so\"@1"});
  for (const std::string value :
       {"", "x", " x", "x ", "#", "; a", "a;b", "\"", "\"a\"", "a\\b", "\\n", "\n", "a = b", "[s]"})
    CHECK(entries("k = " + ini_value(value)) == List{"k=" + value + "@1"});
}

TEST_CASE("lines that are nothing") {
  CHECK_THROWS_WITH(entries("a=1\nword\n"), "f.ini, line 2: 'word' is neither [section] nor key = value");
  CHECK_THROWS_AS(entries("= 1"), eddy::Error);
  CHECK_THROWS_AS(entries("[open"), eddy::Error);
  CHECK_THROWS_AS(entries("[]"), eddy::Error);
  CHECK_THROWS_AS(entries("["), eddy::Error);
  CHECK_THROWS_AS(entries("a = \"open"), eddy::Error);
  CHECK_THROWS_AS(entries("a = \"open\\"), eddy::Error);
  CHECK_THROWS_AS(entries("a = \"x\" y"), eddy::Error);
}
