// Words on pages to text in reading order.
#include "extract/pdf_layout.h"

#include "catch.h"
#include "extract/pdf_columns.h"

using namespace eddy::extract;

namespace {
/// A line of words in a fixed pitch of 5 points a character and 10 points height.
void put(PdfPage& page, float left, float top, const std::string& line) {
  for (std::size_t i = 0; i < line.size();) {
    const std::size_t end = std::min(line.find(' ', i), line.size());
    if (end > i)
      page.words.push_back({left + 5 * static_cast<float>(i), top, left + 5 * static_cast<float>(end), top + 10,
                            end < line.size(), line.substr(i, end - i)});
    i = end + 1;
  }
}
PdfPage blank() {
  return {.width = 600, .height = 800};
}
}  // namespace

TEST_CASE("two columns are read one after the other, what spans them in its place") {
  PdfPage page = blank();
  put(page, 150, 60, "A title that stands across both of the two columns below");
  for (int i = 0; i < 20; ++i) {  // as a PDF might give them: row by row
    const std::string n = std::to_string(i);
    const float top = 100 + 12 * static_cast<float>(i) + (i >= 10 ? 40.0F : 0.0F);
    put(page, 60, top, "left line " + n + " is as wide as its column");
    put(page, 330, top, "right line " + n + " fills the other one too");
    if (i == 9) put(page, 100, 228, "Figure 1: a caption that is wider than one column of this page is");
  }
  const std::string text = layout_text({page}).body;
  std::vector<std::size_t> at;
  for (const char* part : {"A title", "left line 0 ", "left line 9 ", "right line 0 ", "right line 9 ", "Figure 1",
                           "left line 10 ", "left line 19 ", "right line 10 ", "right line 19 "}) {
    at.push_back(text.find(part));
    INFO(part << " in " << text);
    REQUIRE(at.back() != std::string::npos);
  }
  CHECK(std::is_sorted(at.begin(), at.end()));
}

TEST_CASE("a table's columns are no columns of text") {
  PdfPage page = blank();
  for (int i = 0; i < 12; ++i) {
    put(page, 60, 100 + 12 * static_cast<float>(i), "row" + std::to_string(i));
    put(page, 400, 100 + 12 * static_cast<float>(i), "value" + std::to_string(i));
  }
  const std::string text = layout_text({page}).body;
  CHECK(text.find("row3 value3") != std::string::npos);
}

TEST_CASE("hyphens at line ends, ligatures, accents") {
  PdfPage page = blank();
  const std::vector<std::string> lines{"The well-known construction of the \uFB01eld was de-",
                                       "scribed by Poincar\u00B4e, and a well-",
                                       "known e\uFB00ect of Navier-",
                                       "Stokes in 1900-",
                                       "1910 is non\u00AD",
                                       "linear as Erd\u02DDos said."};
  for (std::size_t i = 0; i < lines.size(); ++i) put(page, 60, 100 + 12 * static_cast<float>(i), lines[i]);
  CHECK(layout_text({page}).body ==
        "The well-known construction of the field was described by Poincare\u0301, and a well-known effect of "
        "Navier-Stokes "
        "in 1900- 1910 is nonlinear as Erdo\u030Bs said.");
}

TEST_CASE("headers, footers and page numbers go; paragraphs and the reference list are parted") {
  std::vector<PdfPage> pages;
  for (int p = 0; p < 5; ++p) {
    PdfPage page = blank();
    const std::string n = std::to_string(p);
    put(page, 60, 40, p % 2 ? "C. Miller and D. Smith" : "A short running title");
    put(page, 500, 40, std::to_string(17 + p));
    for (int i = 0; i < 10; ++i)
      put(page, 60, 100 + 12 * static_cast<float>(i), "page " + n + " has this body line " + std::to_string(i));
    put(page, 60, 240, "A paragraph of its own on page " + n + ".");
    put(page, 250, 760, "Preprint of May 2020");
    if (p == 4) {
      put(page, 60, 300, "References");
      put(page, 60, 320, "[1] A. Author. A book. 1990.");
      put(page, 60, 340, "[2] B. Author. A paper. 1991.");
    }
    pages.push_back(page);
  }
  const PdfText text = layout_text(pages);
  for (const char* gone : {"running title", "D. Smith", "Preprint", "17", "21", "References", "A book"}) {
    INFO(gone << " in " << text.body);
    CHECK(text.body.find(gone) == std::string::npos);
  }
  CHECK(text.body.find("line 9\n\nA paragraph of its own on page 0.") != std::string::npos);
  CHECK(text.references.find("A book. 1990.") != std::string::npos);
  CHECK(text.references.find("A paper. 1991.") != std::string::npos);
  CHECK(layout_text({}).body.empty());
  CHECK(layout_text({blank()}).body.empty());
}
