// PDFs against the LaTeX that they were made from, and two-column pages against GROBID's TEI, beside other extractors
// (tests/reference/compare_pdf.py).
#include <nlohmann/json.hpp>

#include "catch.h"
#include "extract/article.h"
#include "support.h"

using namespace eddy::extract;
namespace fs = std::filesystem;

namespace {
fs::path program() {
  const char* bin = std::getenv("EDDY_BIN_DIR");
  return fs::path(bin ? bin : "bin") / "eddy-pdf-text";
}
nlohmann::json compare(const fs::path& reference, const fs::path& pdf, const fs::path& scratch) {
  const Outcome o = extract_file(pdf, Kind::pdf, pdf.parent_path(), program());
  REQUIRE(o.reason == "");
  eddy_test::write_file(scratch, o.text);
  const auto run = eddy_test::run(
      {"/usr/bin/env", "python3", eddy_test::source_dir() / "tests/reference/compare_pdf.py", reference, scratch, pdf});
  REQUIRE(run.status == 0);
  return nlohmann::json::parse(run.out);
}
/// The papers, or empty with a word on what is missing.
fs::path pairs() {
  const fs::path folder = eddy_test::material() / "papers/pairs";
  if (!eddy_test::material().empty() && fs::exists(folder) && fs::exists(program()) &&
      eddy_test::run({"/usr/bin/env", "python3", "--version"}).status == 0)
    return folder;
  eddy_test::skip("needs EDDY_MATERIAL with papers/pairs, eddy-pdf-text and python3");
  return {};
}
}  // namespace

TEST_CASE("PDFs say what their sources say, at least as well as pdftotext and pypdf get it") {
  const fs::path folder = pairs();
  if (folder.empty()) return;
  eddy_test::TempDir dir;
  for (const char* name :
       {"pari/develop", "pari/refcard", "pari/tutorial-mf", "pari/tutorial", "tme-emt-errata/tme-emt-errata"}) {
    CAPTURE(name);
    const fs::path tex = folder / (std::string(name) + ".tex");
    eddy_test::write_file(dir / "reference.txt", extract_article(tex, Kind::latex, tex.parent_path(), {}).outcome.text);
    const auto j = compare(dir / "reference.txt", folder / (std::string(name) + ".pdf"), dir / "text");
    INFO(j.dump());
    CHECK(j["eddy"]["f1"] >= 0.92);
    for (const char* other : {"pdftotext", "pypdf"})
      if (j.contains(other)) CHECK(j["eddy"]["f1"] >= j[other]["f1"]);
  }
}

TEST_CASE("two-column pages are read in order") {
  const fs::path folder = pairs();
  if (folder.empty()) return;
  eddy_test::TempDir dir;
  for (const char* name : {"N18-3011", "2020.acl-main.207"}) {
    CAPTURE(name);
    const fs::path pdf = folder / "s2orc-doc2json/pdf" / name;
    const auto j = compare(pdf.string() + ".tei.xml", pdf.string() + ".pdf", dir / "text");
    INFO(j.dump());
    CHECK(j["eddy"]["f1"] >= 0.95);
    CHECK(j["eddy"]["order"] >= 0.85);
    for (const char* other : {"pdftotext", "pypdf"})
      if (j.contains(other)) CHECK(j["eddy"]["order"] > j[other]["order"]);
  }
}
