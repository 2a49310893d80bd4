// What is refused of JSON that came from elsewhere.
#include "base/json.h"

#include "base/error.h"
#include "catch.h"

using eddy::parse_json;
using Json = nlohmann::ordered_json;

namespace {
std::string nested(std::size_t levels, const std::string& open, const std::string& close) {
  std::string text;
  for (std::size_t i = 0; i < levels; ++i) text += open;
  text += "1";
  for (std::size_t i = 0; i < levels; ++i) text += close;
  return text;
}
}  // namespace

TEST_CASE("JSON nested deeper than any stack is refused by the file's name") {
  const auto most = static_cast<std::size_t>(eddy::kDeepestJson);
  CHECK(parse_json<Json>(nested(most, "[", "]"), "f").is_array());
  CHECK(parse_json<nlohmann::json>(nested(most, "{\"a\":", "}"), "f").is_object());
  for (const std::size_t levels : {most + 1, std::size_t{2'000'000}}) {
    CHECK_THROWS_WITH(parse_json<Json>(nested(levels, "[", "]"), "f"), "f: its JSON is nested deeper than 256 levels");
    CHECK_THROWS_WITH(parse_json<nlohmann::json>(nested(levels, "{\"a\":", "}"), "f"),
                      "f: its JSON is nested deeper than 256 levels");
  }
  // Levels that were closed do not count.
  std::string wide = "[";
  for (int i = 0; i < 1000; ++i) wide += "[{\"a\": 1}],";
  CHECK(parse_json<Json>(wide + "1]", "f").size() == 1001);
}

TEST_CASE("what is no JSON is refused with the place, in words") {
  CHECK_THROWS_WITH(parse_json<Json>("", "f"),
                    "f: not valid JSON: it is empty; mend it, or take it from where it came again");
  for (const char* text : {"{\n \"a\": ", "{\n \"a\": 1}}", "nul", "[1e999]", "\"\\ud800\""}) {
    CAPTURE(text);
    std::string said;
    try {
      parse_json<Json>(text, "f");
    } catch (const eddy::Error& e) {
      said = e.what();
    }
    CHECK(said.starts_with("f: not valid JSON"));
    CHECK(said.find("json.exception") == std::string::npos);
    CHECK(said.find("mend it") != std::string::npos);
  }
  CHECK_THROWS_WITH(parse_json<Json>("{\n \"a\": ", "f"), Catch::Contains("at line 2, column 7"));
}

TEST_CASE("a key that stands twice is refused, also far down") {
  CHECK_THROWS_WITH(parse_json<Json>(R"({"x": [{"a": 1, "b": 2, "a": 3}]})", "f"),
                    "f: the key 'a' stands twice in one object");
  CHECK(parse_json<Json>(R"({"a": {"a": 1}, "b": {"a": 1}})", "f").size() == 2);
}
