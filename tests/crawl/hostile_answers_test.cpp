// Answers that would take a careless reader's stack, its time or its sense.
#include <chrono>

#include "catch.h"
#include "crawl/crossref.h"
#include "crawl/ids.h"
#include "crawl/json_text.h"
#include "crawl/s2.h"
#include "crawl/seeds.h"

using namespace eddy::crawl;
using Json = nlohmann::json;

namespace {
/// What took the square of its input's length would take minutes here; a second leaves room for a busy machine.
template <class F>
double seconds(F&& f) {
  const auto begin = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}
}  // namespace

TEST_CASE("an answer nested deeper than 64 levels is none") {
  const auto nested = [](std::size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  CHECK(parse_answer(nested(64)).is_array());
  CHECK(parse_answer(nested(65)).is_discarded());
  CHECK(parse_answer(nested(3'000'000)).is_discarded());
  // Brackets in strings do not count, whatever is escaped there.
  CHECK(parse_answer(R"({"a": "\")" + std::string(200, '[') + R"(\\"})").is_object());
  CHECK(parse_answer(R"({"a": "\\\""})").is_object());
  CHECK(parse_answer("[1, 2").is_discarded());
}

TEST_CASE("an object with very many entries is read in time") {
  std::string body = "{";
  for (int i = 0; i < 200'000; ++i) body += "\"k" + std::to_string(i) + "\": 1,";
  body += "\"year\": 1999}";
  Json answer;
  CHECK(seconds([&] { answer = parse_answer(body); }) < 20);
  CHECK(s2::paper(answer).year == 1999);
}

TEST_CASE("very many entities and tags are read in time") {
  std::string abstract;
  for (int i = 0; i < 1'000'000; ++i) abstract += "&amp;";
  crossref::Work work;
  CHECK(seconds([&] { work = crossref::work_of({{"message", {{"abstract", abstract}}}}); }) < 20);
  CHECK(work.paper.abstract == std::string(1'000'000, '&'));
  CHECK(crossref::work_of({{"message", {{"abstract", "&amp;lt; &lt; &quot;&apos;&gt; &x &am"}}}}).paper.abstract ==
        "&lt; < \"'> &x &am");

  std::string title = "on the stability of flows ";
  for (int i = 0; i < 1'000'000; ++i) title += "<a";
  CHECK(seconds([&] { title_key(title); }) < 20);
  CHECK(title_key("on the <sub>stability</sub> of flows") == "on the stability of flows");
}

TEST_CASE("years that no integer holds are not known") {
  const auto issued = [](const Json& parts) {
    return crossref::work_of({{"message", {{"issued", {{"date-parts", {parts}}}}}}}).paper;
  };
  CHECK(issued({1999, 2, 3}).date == "1999-02-03");
  CHECK(issued({1999, 2}).date.empty());
  CHECK(issued({1999}).year == 1999);
  CHECK(issued({4294969295}).year == 0);  // 1999 modulo 2^32
  CHECK(issued({1999, 4294967298, 3}).date.empty());
  const auto cited = [](const char* year) {
    const Json reference = {{"DOI", "10.1000/x"}, {"year", year}};
    return crossref::work_of({{"message", {{"reference", {reference}}}}}).references.at(0).year;
  };
  CHECK(cited("1998a") == 1998);
  CHECK(cited("99999999999999999999") == 0);
  CHECK(parse_bibtex("@misc{k, title = {T}, year = {99999999999999999999}}").at(0).year == 0);
}
