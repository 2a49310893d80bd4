#pragma once
// A paper as structured text: what extraction makes of LaTeX sources, archives and PDFs, and what pairs are built from.
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "extract/archive.h"
#include "extract/file.h"
#include "extract/outcome.h"

namespace eddy::extract {

enum class BlockKind { heading, paragraph, equation, item, theorem, proof, caption, table, code };

/// A piece of a paper in reading order. Inline mathematics is `$…$`, a display `$$…$$`, both normalised LaTeX: macros
/// of the paper expanded, comments, labels and needless blanks gone.
struct Block {
  BlockKind kind = BlockKind::paragraph;
  int level = 0;       ///< of headings: 0 part or chapter, 1 section, 2 subsection …; of items: nesting, from 1
  std::string name{};  ///< theorem-like: "theorem", "lemma", "definition" …; caption: "figure", "table" …; else empty
  std::string title{};   ///< optional [title] of theorem-like blocks and proofs
  std::string label{};   ///< first \label in it
  std::string number{};  ///< as references name it: "2.1"; empty for what has none
  std::string text{};    ///< theorem-like blocks and proofs hold everything in them, paragraphs parted by an empty line
};

struct Article {
  std::string title{}, abstract{};
  std::vector<Block> blocks{};
  std::uint64_t unresolved = 0;  ///< inputs that were not found
  /// The whole paper as text; headings marked with #, items with "- ", theorem-like blocks by their name.
  std::string text() const;
};

struct ArticleOutcome {
  Article article{};
  Outcome outcome{};  ///< its text is article.text(), cleaned; a rejected one has an empty article
};

class Grobid;
/// Who reads PDFs: a GROBID server (grobid.h), where there is one, and eddy-pdf-text where that is not so or it fails
/// on a document; `Outcome::grobid` says which.
struct PdfRoute {
  PdfRoute() = default;
  template <class Path>
  requires std::convertible_to<Path, std::filesystem::path> PdfRoute(const Path& path, Grobid* server = nullptr)
      : program(path), grobid(server) {}
  std::filesystem::path program{};  ///< eddy-pdf-text, as pdf_program() finds it
  Grobid* grobid = nullptr;
};

/// Bytes as arXiv serves them: .tar.gz, a gzipped .tex, .tex, or a PDF, told apart by their first bytes. Sources win
/// over a PDF in the same archive.
ArticleOutcome extract_payload(std::string_view bytes, const PdfRoute& pdf, const ArchiveLimits& limits = {});

/// A .tex, .md, .txt or .pdf file, as extract_file. Text without markup gives paragraphs.
ArticleOutcome extract_article(const std::filesystem::path& path, Kind kind, const std::filesystem::path& root,
                               const PdfRoute& pdf);

/// A PDF's article by the route's server, else what `poppler` returns.
ArticleOutcome with_grobid(std::string_view pdf_bytes, const PdfRoute& pdf,
                           const std::function<ArticleOutcome()>& poppler);

/// With its text, or rejected when that has none.
ArticleOutcome finished(Article article);

/// Plain text as an article: paragraphs are parted by empty lines.
Article article_of_text(std::string_view text);

}  // namespace eddy::extract
