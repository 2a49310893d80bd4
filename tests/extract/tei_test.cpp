// TEI as GROBID writes it becomes an article; what is none is told.
#include "extract/tei.h"

#include "catch.h"
#include "grobid_server.h"

using namespace eddy::extract;

TEST_CASE("everything that is text stays, in order; the bibliography and what describes the file go") {
  const ArticleOutcome o = article_of_tei(eddy_test::tei("On &lt;flows&gt;"));
  REQUIRE(o.outcome.reason == "");
  CHECK(o.article.title == "On <flows>");
  CHECK(o.article.abstract == "We study the flow & its decay.");
  CHECK(o.outcome.text ==
        "# On <flows>\n\n## Abstract\n\nWe study the flow & its decay.\n\n"
        "## 1 Introduction\n\nFlows decay [1, 2], as Fig. 1 shows for 105 eddies.\n\nThe energy obeys\n\n"
        "E = mc 2 , (1)\n\nwhere m is the mass.\n\n"
        "### 2.1 Decay of a vortex\n\nIt is slow. It ends.\n\n- one step\n- another\n\n"
        "## Discussion\n\nNothing more.\n\n"
        "Figure 1: The energy of the flow.\n\nTable II: Rates of decay.\n\nCounted by hand.\n\n"
        "### Acknowledgments\n\nWe thank nobody.\n");
}

TEST_CASE("what a formula says is text, not LaTeX: no equation is made of it") {
  for (const Block& b : article_of_tei(eddy_test::tei("T")).article.blocks) CHECK(b.kind != BlockKind::equation);
}

TEST_CASE("prefixes, captions without numbers, text without headings") {
  const ArticleOutcome o = article_of_tei(
      "<t:TEI xmlns:t='http://www.tei-c.org/ns/1.0'><t:text><t:body>loose <t:div><t:p>a <t:formula>x=y</t:formula> "
      "b</t:p><t:head n='IV'>Results</t:head></t:div><t:figure><t:head>Table of contents</t:head><t:figDesc/>"
      "</t:figure><t:figure><t:head/><t:figDesc>Fig. S2b: seen</t:figDesc></t:figure></t:body></t:text></t:TEI>");
  REQUIRE(o.outcome.reason == "");
  CHECK(o.outcome.text == "loose\n\na x=y b\n\n## IV Results\n\nFigure: Table of contents\n\nFigure S2b: seen\n");
}

TEST_CASE("what is no article in TEI is rejected with a reason") {
  const auto why = [](const std::string& xml) { return article_of_tei(xml).outcome.reason; };
  const std::string whole = eddy_test::tei("T");
  CHECK(why("") == "not XML");
  CHECK(why("Not XML at all") == "not XML");
  CHECK(why("<!DOCTYPE html><html><body><p>sorry</p></body></html>") == "not TEI");
  CHECK(why("<html><body><p>sorry</p></body></html>") == "not TEI");
  for (const std::size_t n : {std::size_t{300}, whole.size() / 2, whole.size() - 8})
    CHECK(why(whole.substr(0, n)) == "not XML");
  CHECK(why("<TEI><teiHeader/><text><body>\n <div/></body></text></TEI>") == "TEI: no text");
  CHECK(why("<TEI/>") == "TEI: no text");
  CHECK(why("<!DOCTYPE TEI [<!ENTITY a \"b\">]><TEI><text><body><p>&a;</p></body></text></TEI>") == "not TEI");
  std::string deep = "<TEI><text><body>";
  for (int i = 0; i < 200'000; ++i) deep += "<div>";
  deep += "<p>x</p>";
  for (int i = 0; i < 200'000; ++i) deep += "</div>";
  CHECK(why(deep + "</body></text></TEI>") == "TEI: nested too deeply");
}
