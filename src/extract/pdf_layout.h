#pragma once
// From words on pages to text in reading order: lines, columns, paragraphs; page furniture and references taken off.
// Used by eddy-pdf-text and free of its PDF library.
#include <string>
#include <vector>

namespace eddy::extract {

struct PdfWord {
  float left = 0, top = 0, right = 0, bottom = 0;  ///< points from the page's upper left corner
  bool space_after = true;
  std::string text{};  ///< UTF-8
};
struct PdfPage {
  float width = 0, height = 0;
  std::vector<PdfWord> words{};  ///< upright ones
};

struct PdfText {
  std::string body{};        ///< paragraphs parted by an empty line
  std::string references{};  ///< the reference list, one paragraph an entry as far as they can be told apart
};

/// Orders words by columns and lines; undoes hyphenation at line ends and ligatures; drops what repeats at the top or
/// bottom of pages, and page numbers; splits off what follows a heading "References" until an appendix.
PdfText layout_text(const std::vector<PdfPage>& pages);

}  // namespace eddy::extract
