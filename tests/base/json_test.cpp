// What is refused of JSON that came from elsewhere.
#include "base/json.h"

#include <filesystem>

#include "base/error.h"
#include "base/plain_text.h"
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
  CHECK_THROWS_WITH(parse_json<Json>("{\n \"a\": ", "f"), contains_text("at line 2, column 7"));
}

TEST_CASE("a key that stands twice is refused, also far down") {
  CHECK_THROWS_WITH(parse_json<Json>(R"({"x": [{"a": 1, "b": 2, "a": 3}]})", "f"),
                    "f: the key 'a' stands twice in one object");
  CHECK(parse_json<Json>(R"({"a": {"a": 1}, "b": {"a": 1}})", "f").size() == 2);
}

TEST_CASE("a whole number is taken only where it is one, and fits") {
  const auto number = [](const char* text) { return eddy::whole_number<std::int32_t>(Json::parse(text), "n"); };
  CHECK(number("-2147483648") == INT32_MIN);
  CHECK(number("2147483647") == INT32_MAX);
  for (const char* text : {"2147483648", "-2147483649", "1.5", "2.0", "1e99", "18446744073709551615",
                           "1000000000000000019884624838656", "\"1\"", "null", "true", "[1]"}) {
    INFO(text);
    CHECK_THROWS_WITH(number(text), "n must be a whole number from -2147483648 to 2147483647");
  }
  CHECK(eddy::whole_number<std::uint64_t>(Json::parse("18446744073709551615"), "n") == UINT64_MAX);
  CHECK_THROWS_WITH(eddy::whole_number<std::uint64_t>(Json::parse("-1"), "n"), contains_text("n must be"));
}

TEST_CASE("what libraries' exceptions say is told without their codes") {
  CHECK_THROWS_WITH(
      parse_json<Json>("{\"a\": 1", "f"),
      contains_text("f: not valid JSON: parse error at line 1, column 8: ") && !contains_text("json.exception"));
  try {
    (void)Json::parse("{\"a\": 1}").at("b");
    FAIL("found");
  } catch (const Json::exception& e) {
    CHECK(eddy::plain_text(e) == "key 'b' not found");
  }
  try {
    std::filesystem::rename("/nowhere/a", "/nowhere/b");
    FAIL("renamed");
  } catch (const std::exception& e) {
    CHECK(eddy::plain_text(e) == "/nowhere/a → /nowhere/b: No such file or directory");
  }
  CHECK(eddy::plain_text(std::runtime_error("as it is")) == "as it is");
}
