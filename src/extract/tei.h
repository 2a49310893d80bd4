#pragma once
// What a GROBID server makes of a PDF: TEI (https://tei-c.org) as its /api/processFulltextDocument writes it.
#include <string_view>

#include "extract/article.h"

namespace eddy::extract {

/// Title, abstract, headings with their numbers, paragraphs, list items, footnotes, formulas, captions of figures and
/// tables; references within the text stay as text. The bibliography, cells of tables, and what describes the file go.
/// GROBID finds formulas but does not parse them: they are paragraphs of their signs, not equations in LaTeX.
/// Rejected with a reason ("not XML", "not TEI", "TEI: no text" …) where there is no article in it. Entities of a
/// DOCTYPE are never expanded: a document with one is rejected.
ArticleOutcome article_of_tei(std::string_view xml);

}  // namespace eddy::extract
