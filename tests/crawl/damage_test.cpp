// Answers with bytes changed, cut out and doubled: clients read what they can and never throw.
#include <random>

#include "catch.h"
#include "crawl/arxiv.h"
#include "crawl/crossref.h"
#include "crawl/ids.h"
#include "crawl/open_access.h"
#include "crawl/payload.h"
#include "crawl/s2.h"
#include "crawl/seeds.h"
#include "world.h"

using namespace eddy::crawl;
using Json = nlohmann::json;

namespace {

std::string damaged(std::string text, std::mt19937& random) {
  const auto any = [&](std::size_t n) { return n == 0 ? 0 : random() % n; };
  for (std::size_t n = 1 + any(4); n > 0; --n) {
    const std::size_t at = any(text.size()), length = std::min(text.size() - at, any(20));
    switch (any(4)) {
      case 0:
        if (!text.empty()) text[at] = static_cast<char>(random());
        break;
      case 1:
        text.erase(at, length);
        break;
      case 2:
        text.insert(at, text.substr(any(text.size()), length));
        break;
      default:
        text.insert(at, std::string(1, "[]{}\"0,:<>&"[any(11)]));
    }
  }
  return text;
}

/// JSON values put in each other's place: whole, but not what is expected.
Json shuffled(const Json& j, std::mt19937& random) {
  static const Json kOdd[] = {nullptr, -1, 1e300, "", "x", Json::array(), Json::object(), Json{{"a", {1}}}, true};
  if (random() % 8 == 0) return kOdd[random() % 9];
  Json out = j;
  if (j.is_object())
    for (auto& [key, value] : out.items()) value = shuffled(value, random);
  else if (j.is_array())
    for (auto& value : out) value = shuffled(value, random);
  return out;
}

const char* kJson =
    R"({"offset": 0, "next": 3, "data": [{"citedPaper": {"paperId": "e945ca4fdcf45b1a118f1462db7afa12629a131f",
  "externalIds": {"DOI": "10.1000/x", "ArXiv": "2101.00001"}, "title": "A title of a paper", "year": 1999,
  "authors": [{"name": "A"}], "fieldsOfStudy": ["Physics"], "openAccessPdf": {"url": "https://x.org/a.pdf"}}}],
  "message": {"DOI": "10.1000/y", "title": ["T"], "author": [{"given": "A", "family": "B"}],
  "issued": {"date-parts": [[2001, 2, 3]]}, "license": [{"URL": "u", "content-version": "vor"}],
  "abstract": "<jats:p>x &lt; y</jats:p>", "reference": [{"DOI": "10.1000/z", "year": "1990"}]},
  "id": "https://openalex.org/W1", "best_oa_location": {"pdf_url": "https://x.org/b.pdf", "url_for_pdf": "https://x.org/b.pdf"},
  "oa_locations": [{"url_for_pdf": "https://x.org/c.pdf"}], "open_access": {"oa_url": "https://x.org/b.pdf"}})";
const char* kAtom =
    R"(<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><entry><id>http://arxiv.org/abs/2101.00001v2</id>
  <title>T &amp; U</title><published>2021-01-01T00:00:00Z</published><author><name>A</name></author><category term="hep-th"/>
  <primary_category term="hep-th"/></entry><license>http://l/</license></feed>)";

}  // namespace

TEST_CASE("damaged answers") {
  std::mt19937 random(5);
  int whole = 0, papers = 0;
  const auto read_all = [&](const Json& j) {
    papers += static_cast<int>(s2::page(j).papers.size());
    s2::batch_papers(j, 3);
    s2::matched(j);
    s2::authors(j);
    papers += static_cast<int>(crossref::work_of(j).references.size());
    openalex::paper(j).id();
    unpaywall::paper(j).id();
  };
  for (int i = 0; i < 4000; ++i) {
    const Json j = Json::parse(damaged(kJson, random), nullptr, false);
    whole += !j.is_discarded();
    if (!j.is_discarded()) read_all(j);
    read_all(shuffled(Json::parse(kJson), random));
    const std::string atom = damaged(kAtom, random);
    papers += static_cast<int>(arxiv::papers(atom).size());
    arxiv::empty_feed(atom);
    arxiv::licence_of(atom);
  }
  CHECK(whole > 100);
  CHECK(papers > 4000);
}

TEST_CASE("damaged BibTeX, names and archives") {
  std::mt19937 random(6);
  const std::string bib =
      "@article{a, title = {The {B}ig title}, doi = \"10.1000/a\", year = 2001 # \"x\"}\n@misc{b, eprint={2101.00001}}";
  const eddy_test::World world(10);
  const std::string packed = world.eprint(1);
  std::size_t entries = 0;
  int kept = 0;
  for (int i = 0; i < 4000; ++i) {
    entries += parse_bibtex(damaged(bib, random)).size();
    title_key(damaged("On <i>the</i> $\\alpha$ title of papers", random));
    normal_doi(damaged("https://doi.org/10.1000/abc", random));
    parse_arxiv(damaged("https://arxiv.org/abs/2101.00001v1", random));
    if (i % 10 == 0) kept += !inspect_payload(damaged(packed, random), {1 << 20, 200}).kind.empty();
  }
  CHECK(entries > 4000);
  CHECK(kept < 40);  // gzip's checksum finds nearly all
}
