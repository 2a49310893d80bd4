// Names of papers, where a crawl begins, who is who, and the score.
#include "catch.h"
#include "crawl/catalogue.h"
#include "crawl/ids.h"
#include "crawl/options.h"
#include "crawl/score.h"
#include "crawl/seeds.h"
#include "refusal.h"
#include "support.h"

using namespace eddy;
using namespace eddy::crawl;

namespace {
Paper named(const std::string& doi, const std::string& arxiv, const std::string& s2, const std::string& title = "",
            int year = 0) {
  Paper p;
  p.doi = doi;
  p.arxiv = arxiv;
  p.s2 = s2;
  p.title = title;
  p.year = year;
  return p;
}
}  // namespace

TEST_CASE("DOIs and arXiv ids in all their spellings") {
  CHECK(normal_doi(" https://doi.org/10.1103/PhysRev.47.777 ") == "10.1103/physrev.47.777");
  CHECK(normal_doi("doi:10.1002/(SICI)1097-0363(1998)26:8<981::AID>3.0.CO;2-K") ==
        "10.1002/(sici)1097-0363(1998)26:8<981::aid>3.0.co;2-k");
  for (const char* none : {"", "10.1103", "10.x/abc", "11.1103/a", "10.1103/", "10.1103/a b"})
    CHECK(normal_doi(none) == "");
  const auto id = [](const char* text) {
    const auto a = parse_arxiv(text);
    return a ? a->id + " v" + std::to_string(a->version) : "none";
  };
  CHECK(id("2101.00001") == "2101.00001 v0");
  CHECK(id("arXiv:0704.0001v3") == "0704.0001 v3");
  CHECK(id("https://arxiv.org/pdf/2101.00001v2.pdf") == "2101.00001 v2");
  CHECK(id("http://arxiv.org/abs/hep-th/9901001v1") == "hep-th/9901001 v1");
  CHECK(id("math.GT/0309136") == "math/0309136 v0");
  CHECK(id("10.48550/arXiv.2101.00001") == "2101.00001 v0");
  for (const char* none : {"", "21.00001", "2101.001", "10.1103/x", "2101.00001v", "../2101.00001"})
    CHECK(id(none) == "none");
}

TEST_CASE("titles are compared without case, markup and punctuation; short ones are not") {
  CHECK(title_key("On the <i>Stability</i> of $\\alpha$-Flows: {II}") == "on the stability of flows ii");
  CHECK(title_key("On the stability of flows, II") == title_key("ON THE STABILITY OF FLOWS -- II"));
  CHECK(title_key("Introduction") == "");
  CHECK(title_key("a < b and c > d in every ordered field") == "a b and c d in every ordered field");
}

TEST_CASE("BibTeX") {
  const auto papers = parse_bibtex(R"(% a comment with @ in it
@STRING{prl = "Phys. Rev. Lett."}
@article{one, author = {A and B}, title = "The {H}iggs in {"}quotes{"}", DOI={10.1000/X.1}, year = 1999,}
@misc{two, eprint={2101.00001v2}, archivePrefix={arXiv}, title={Second {\emph nested} one}}
@article{three, title = {No ids at all}, year = "20" # "01"}
@article{four, doi = {https://doi.org/10.48550/arXiv.2202.00002}}
@comment{@article{five, doi={10.1000/no}}}
@book{six, publisher = {X}}
@article{seven, eprint = {PMC1234}, eprinttype = {pubmed}, url = {https://arxiv.org/abs/1301.00003}}
@article{broken, title = {never closed
)");
  REQUIRE(papers.size() >= 5);
  CHECK(papers[0].doi == "10.1000/x.1");
  CHECK(papers[0].year == 1999);
  CHECK(papers[1].arxiv == "2101.00001");
  CHECK(papers[2].title == "No ids at all");
  CHECK(papers[2].year == 2001);
  CHECK(papers[3].arxiv == "2202.00002");
  CHECK(papers[3].doi.empty());
  for (const Paper& p : papers) CHECK(p.title != "X");
  CHECK(parse_bibtex("@@{,=}@a{").empty());
  CHECK(parse_bibtex("@article{x,").empty());
}

TEST_CASE("seeds that are none are refused") {
  CHECK(eddy_test::lacks(eddy_test::refusal([] { read_seeds({"hello"}); }), {"--from hello", "arXiv id", "DOI"}) == "");
  CHECK(eddy_test::lacks(eddy_test::refusal([] { read_seeds({"/nowhere/x.bib"}); }), {"/nowhere/x.bib"}) == "");
  const auto seeds = read_seeds({"2101.00001v4", "10.1000/a", std::string(40, 'a')});
  REQUIRE(seeds.size() == 3);
  CHECK(seeds[0].id() == "arxiv:2101.00001");
  CHECK(seeds[1].id() == "doi:10.1000/a");
  CHECK(seeds[2].id() == "s2:" + std::string(40, 'a'));
}

TEST_CASE("papers are one when they share a name, or title and year") {
  Catalogue c;
  const auto a = c.add(named("", "2101.00001", "", "The decay of strained turbulence", 2021));
  const auto b = c.add(named("10.1000/a", "", "", "Another title about other things", 2022));
  CHECK(a != b);
  CHECK(c.add(named("", "2101.00001", "s1")) == a);
  CHECK(c.at(a).paper.s2 == "s1");

  SECTION("a paper that bears both names joins the two") {
    c.at(b).linked = {7};
    CHECK(c.add(named("10.1000/a", "", "s1")) == a);
    CHECK(c.root(b) == a);
    CHECK(c.at(b).paper.doi == "10.1000/a");
    CHECK(c.at(a).linked.count(7) == 1);
    CHECK(c.roots() == std::vector<std::size_t>{a});
  }
  SECTION("title and neighbouring years") {
    CHECK(c.add(named("10.1000/journal", "", "s9", "The Decay of Strained Turbulence.", 2022)) == a);
    CHECK(c.add(named("10.1000/else", "", "", "The decay of strained turbulence", 2030)) != a);
  }
  SECTION("not where ids say otherwise") {
    CHECK(c.add(named("", "2105.00009", "", "The decay of strained turbulence", 2021)) != a);
    CHECK(c.add(named("10.1000/b", "", "", "Another title about other things", 2022)) != b);
  }
  SECTION("versions do not count") {
    Paper versioned = named("", "2101.00001", "");
    versioned.arxiv_version = 3;
    CHECK(c.add(versioned) == a);
    CHECK(c.at(a).paper.arxiv_version == 3);
  }
}

TEST_CASE("the score's parts, worked by hand") {
  CrawlOptions options;
  options.score_keywords = {"dissipation", "large eddy"};
  Profile profile;
  profile.add(named("", "1", "", "dissipation dissipation dissipation rate"));
  Entry entry;
  entry.paper = named("", "2", "", "Dissipation in a large eddy");
  entry.linked = {1, 2};
  // Profile (ln 4, ln 2) on (dissipation, rate); paper (ln 2, ln 2, ln 2) on (dissipation, large, eddy).
  const double a = std::log(4.0), b = std::log(2.0);
  const Score s = score(entry, profile, options);
  CHECK(s.text == approx(a * b / std::sqrt((a * a + b * b) * 3 * b * b)).margin(1e-4));
  CHECK(s.links == 0.5);
  CHECK(s.keywords == 1.0);
  CHECK(s.whole == approx(0.5 * s.text + 0.3 * 0.5 + 0.2).margin(1e-4));
  options.score_keywords.clear();  // the part falls away
  CHECK(score(entry, profile, options).whole == approx((0.5 * s.text + 0.3 * 0.5) / 0.8).margin(1e-4));
  CHECK(mentions(entry.paper, "Large-Eddy"));
  CHECK_FALSE(mentions(entry.paper, "large edd"));
}
