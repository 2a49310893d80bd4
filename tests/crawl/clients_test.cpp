// What the clients ask and how they read answers: fixtures of our own in each service's format, and recorded traffic
// where EDDY_MATERIAL has it.
#include <fstream>
#include <set>

#include "catch.h"
#include "crawl/arxiv.h"
#include "crawl/crossref.h"
#include "crawl/open_access.h"
#include "crawl/s2.h"
#include "support.h"

using namespace eddy::crawl;
using Json = nlohmann::json;
namespace fs = std::filesystem;

TEST_CASE("Semantic Scholar: questions") {
  CHECK(s2::links("DOI:10.1002/(SICI)1:2<3>4", false, 1000).path ==
        "/paper/DOI:10.1002/(SICI)1:2%3C3%3E4/references?fields=paperId,externalIds,title,year&offset=1000&limit=1000");
  CHECK(s2::links("x", true, 0).path.find("/paper/x/citations?") == 0);
  const Ask batch = s2::batch({"ARXIV:2101.00001", "abc"});
  CHECK(batch.method == "POST");
  CHECK(Json::parse(batch.body) == Json::parse(R"({"ids": ["ARXIV:2101.00001", "abc"]})"));
  CHECK(batch.key() != s2::batch({"abc"}).key());
  CHECK(s2::match("a & b").path.find("query=a%20%26%20b&") != std::string::npos);
}

TEST_CASE("Semantic Scholar: answers, and what may lack in them") {
  const auto page = s2::page(Json::parse(R"({"offset": 0, "next": 3, "data": [
    {"citedPaper": {"paperId": null, "externalIds": null, "title": "Private communication", "year": null}},
    {"citedPaper": {"paperId": null, "externalIds": {"DOI": "10.1000/X"}, "title": "By DOI", "year": 1990}},
    {"citedPaper": {"paperId": "e945ca4fdcf45b1a118f1462db7afa12629a131f",
                    "externalIds": {"ArXiv": "hep-th/9901001", "DOI": "10.48550/arXiv.hep-th/9901001"}, "title": " A\n title", "year": 1999}},
    {"citedPaper": null}]})"));
  CHECK(page.unnamed == 2);
  CHECK(page.next == 3);
  REQUIRE(page.papers.size() == 2);
  CHECK(page.papers[0].id() == "doi:10.1000/x");
  CHECK(page.papers[1].id() == "arxiv:hep-th/9901001");
  CHECK(page.papers[1].doi.empty());
  CHECK_FALSE(s2::page(Json::parse(R"({"total": 0, "offset": 0})")).next);
  CHECK(s2::page(Json::parse(R"({"total": 0, "offset": 0})")).papers.empty());
  CHECK_FALSE(s2::page(Json::parse(R"({"offset": 5, "next": 5, "data": []})")).next);  // would never end
  CHECK(s2::page(Json::parse(R"([1, "x"])")).papers.empty());

  const auto batch = s2::batch_papers(Json::parse(R"([null, {"paperId": "e945ca4fdcf45b1a118f1462db7afa12629a131f",
    "title": "T", "abstract": null, "year": 2001, "publicationDate": "2001-02-30x", "venue": null, "authors": [{"name": "A  B"}, {}],
    "fieldsOfStudy": ["Physics"], "openAccessPdf": {"url": "https://arxiv.org/pdf/2101.00001", "license": "CCBY"}}])"),
                                      3);
  REQUIRE(batch.size() == 3);
  CHECK_FALSE(batch[0]);
  CHECK_FALSE(batch[2]);
  REQUIRE(batch[1]);
  CHECK(batch[1]->arxiv == "2101.00001");  // a copy at arXiv is an arXiv id
  CHECK(batch[1]->copies.empty());
  CHECK(batch[1]->authors == std::vector<std::string>{"A B"});
}

TEST_CASE("arXiv: questions and answers") {
  CHECK(arxiv::metadata({"2101.00001", "hep-th/9901001"}).path ==
        "/api/query?id_list=2101.00001,hep-th/9901001&start=0&max_results=2");
  CHECK(arxiv::eprint("2101.00001", 3).path == "/e-print/2101.00001v3");
  CHECK(arxiv::pdf("2101.00001", 0).path == "/pdf/2101.00001");
  const std::string head =
      R"(<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom" xmlns:a="http://arxiv.org/schemas/atom">)";
  const auto found = arxiv::papers(head + R"(<entry><id>http://arxiv.org/abs/hep-th/9901001v2</id><title>On
    &lt;x&gt; fields</title><published>1999-01-01T00:00:00Z</published><summary> S </summary>
    <author><name>A. B</name></author><category term="math.QA"/><category term="hep-th"/><a:primary_category term="hep-th"/>
    <a:doi>10.1000/Y</a:doi></entry><entry><id>https://arxiv.org/api/errors#x</id><title>Error</title></entry></feed>)");
  REQUIRE(found.size() == 1);
  const Paper& p = found.at("hep-th/9901001");
  CHECK(p.title == "On <x> fields");
  CHECK(p.arxiv_version == 2);
  CHECK(p.doi == "10.1000/y");
  CHECK(p.date == "1999-01-01");
  CHECK(p.fields == std::vector<std::string>{"hep-th", "math.QA"});
  CHECK(arxiv::empty_feed(head + "</feed>"));
  CHECK_FALSE(arxiv::empty_feed(head + "<entry/></feed>"));
  for (const char* broken : {"", "<feed", "<feed><entry></feed>", "<html/>"}) CHECK(arxiv::papers(broken).empty());
  CHECK(arxiv::licence_of("<a><b:license xmlns:b=\"c\">http://x/</b:license></a>") == "http://x/");
  CHECK(arxiv::licence_of("<a><error/></a>").empty());
}

TEST_CASE("Crossref, OpenAlex, Unpaywall") {
  CHECK(crossref::work("10.1000/a/b").path == "/works/10.1000%2Fa%2Fb");
  const auto work =
      crossref::work_of(Json::parse(R"({"message": {"DOI": "10.1000/A", "title": [], "author": [{"family": "B"},
    {"name": "The Group"}, {}], "issued": {"date-parts": [[2001]]}, "license": [{"URL": "http://am", "content-version": "am"},
    {"URL": "http://vor", "content-version": "vor"}], "abstract": "<jats:title>Abstract</jats:title><jats:p>a &lt; b</jats:p>",
    "reference": [{"DOI": "10.1000/C", "year": "1990a"}, {"unstructured": "x"}, {"DOI": "10.48550/arxiv.2101.00001"}]}})"));
  CHECK(work.paper.authors == std::vector<std::string>{"B", "The Group"});
  CHECK(work.paper.year == 2001);
  CHECK(work.paper.date.empty());
  CHECK(work.paper.licence == "http://vor");
  CHECK(work.paper.abstract.find("a < b") != std::string::npos);
  CHECK(work.unnamed == 1);
  REQUIRE(work.references.size() == 2);
  CHECK(work.references[1].arxiv == "2101.00001");
  CHECK(crossref::work_of(Json::parse(R"({"message": {"issued": {"date-parts": [[null]]}, "title": null}})"))
            .paper.year == 0);

  const Paper open = openalex::paper(
      Json::parse(R"({"id": "https://openalex.org/W12", "open_access": {"oa_url": "https://x.org/a.pdf"},
    "best_oa_location": {"pdf_url": "https://x.org/a.pdf", "license": "cc-by"}})"));
  CHECK(open.openalex == "W12");
  REQUIRE(open.copies.size() == 1);
  CHECK(open.copies[0].licence == "cc-by");
  CHECK(unpaywall::paper(Json::parse(R"({"best_oa_location": null})")).copies.empty());
  CHECK(unpaywall::paper(Json::parse(R"({"best_oa_location": {"url_for_pdf": "https://arxiv.org/pdf/1001.0001v1"}})"))
            .arxiv == "1001.0001");
}

TEST_CASE("recorded answers of arXiv") {
  if (eddy_test::material().empty()) return eddy_test::skip("EDDY_MATERIAL is not set: no recorded traffic");
  int feeds = 0, papers = 0;
  for (const auto& e : fs::directory_iterator(eddy_test::material() / "cassettes/arxiv.py")) {
    if (e.path().extension() != ".json") continue;
    const Json recorded = Json::parse(eddy_test::read_file(e.path()));
    const std::string body = recorded.at("body");
    std::size_t entries = 0;
    for (std::size_t at = body.find("<entry>"); at != std::string::npos; at = body.find("<entry>", at + 1)) ++entries;
    const bool error = recorded.at("status_code") == 400;
    const auto found = arxiv::papers(body);
    INFO(e.path());
    CHECK(found.size() == (error ? 0 : entries));
    CHECK(arxiv::empty_feed(body) == (entries == 0));
    for (const auto& [id, p] : found) {
      CHECK_FALSE(p.title.empty());
      CHECK_FALSE(p.abstract.empty());
      CHECK_FALSE(p.authors.empty());
      CHECK(p.date.size() == 10);
      CHECK_FALSE(p.fields.empty());
      CHECK(p.arxiv_version > 0);
    }
    ++feeds;
    papers += static_cast<int>(found.size());
  }
  std::printf("%d feeds, %d papers\n", feeds, papers);
  CHECK(feeds >= 19);
  CHECK(papers > 200);
}

// One body of the recordings: YAML's single-quoted scalar, folded over lines.
static std::vector<std::string> bodies(const fs::path& cassette) {
  std::vector<std::string> found;
  const std::string text = eddy_test::read_file(cassette);
  for (std::size_t at = text.find("string: '"); at != std::string::npos; at = text.find("string: '", at + 1)) {
    std::string body;
    for (std::size_t i = at + 9; i < text.size(); ++i) {
      if (text[i] == '\'') {
        if (text[i + 1] != '\'') break;
        ++i;
      }
      if (text[i] == '\n') {  // a fold: one blank for a line's end and the indentation, a line end for an empty line
        std::size_t lines = 0;
        for (; i < text.size() && (text[i] == '\n' || text[i] == ' '); ++i) lines += text[i] == '\n';
        body += lines == 1 ? " " : std::string(lines - 1, '\n');
        --i;
        continue;
      }
      body += text[i];
    }
    found.push_back(body);
  }
  return found;
}

TEST_CASE("recorded answers of Semantic Scholar") {
  if (eddy_test::material().empty()) return eddy_test::skip("EDDY_MATERIAL is not set: no recorded traffic");
  const fs::path folder = eddy_test::material() / "cassettes/semanticscholar";
  const auto pages = bodies(folder / "test_get_paper_references.yaml");
  REQUIRE(pages.size() == 2);
  const auto first = s2::page(Json::parse(pages[0])), second = s2::page(Json::parse(pages[1]));
  CHECK(first.next == 50);
  CHECK_FALSE(second.next);
  CHECK(first.papers.size() + static_cast<std::size_t>(first.unnamed) == 50);
  CHECK(first.unnamed + second.unnamed >= 1);
  int batches = 0;
  for (const auto& body : bodies(folder / "test_get_papers_return_not_found.yaml")) {
    const auto papers = s2::batch_papers(Json::parse(body), 4);
    CHECK_FALSE(papers[0]);
    REQUIRE(papers[1]);
    CHECK(papers[1]->doi == "10.2139/ssrn.288970");
    CHECK_FALSE(papers[1]->abstract.empty());
    CHECK_FALSE(papers[1]->authors.empty());
    ++batches;
  }
  CHECK(batches == 1);
  const auto empty = bodies(folder / "test_empty_paginated_results.yaml");
  REQUIRE_FALSE(empty.empty());
  CHECK(s2::page(Json::parse(empty[0])).papers.empty());
  CHECK(s2::authors(Json::parse(bodies(folder / "test_search_author.yaml").at(0))).size() > 10);
}

TEST_CASE("recorded answers of Crossref") {
  if (eddy_test::material().empty()) return eddy_test::skip("EDDY_MATERIAL is not set: no recorded traffic");
  int works = 0, licences = 0, references = 0;
  for (const auto& body : bodies(eddy_test::material() / "cassettes/rcrossref/cr_works.yml")) {
    const Json answer = Json::parse(body, nullptr, false);
    if (!answer.is_object()) continue;
    std::vector<Json> messages;
    if (answer.at("message-type") == "work") messages.push_back(answer.at("message"));
    if (answer.at("message-type") == "work-list")
      for (const Json& item : answer.at("message").at("items")) messages.push_back(item);
    for (const Json& message : messages) {
      const auto work = crossref::work_of(Json{{"message", message}});
      CHECK_FALSE(work.paper.doi.empty());
      CHECK(work.paper.title.empty() == (!message.contains("title") || message.at("title").dump().size() < 6));
      CHECK(work.paper.licence.empty() == !message.contains("license"));
      CHECK((work.paper.year > 0) == message.at("issued").at("date-parts").at(0).at(0).is_number());
      const std::size_t listed = message.contains("reference") ? message.at("reference").size() : 0;
      CHECK(work.references.size() + static_cast<std::size_t>(work.unnamed) == listed);
      ++works;
      licences += !work.paper.licence.empty();
      references += static_cast<int>(work.references.size());
    }
  }
  std::printf("%d works, %d with a licence, %d references with an id\n", works, licences, references);
  CHECK(works > 50);
  CHECK(licences > 0);
  CHECK(references > 0);
}
