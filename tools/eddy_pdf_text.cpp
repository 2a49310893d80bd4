// eddy-pdf-text FILE: the text of a PDF as UTF-8 on stdout: paragraphs in reading order, parted by empty lines, without
// page headers, footers and numbers; then, behind the control character RS, its reference list. A program of its own,
// because damaged files crash PDF readers (eddy-shard runs it with limits on time and memory), and because poppler is
// under the GPL, which then holds for this program only.
#include <poppler-document.h>
#include <poppler-global.h>
#include <poppler-page.h>

#include <cstdio>
#include <memory>

#include "extract/pdf.h"
#include "extract/pdf_layout.h"

namespace {

using eddy::extract::PdfPage;
using eddy::extract::PdfWord;

/// Upright words. Turned ones are a stamp at the page's edge, unless most of the page is turned: then it is read so.
PdfPage words_of(const poppler::page& page) {
  PdfPage result;
  const poppler::rectf size = page.page_rect();
  result.width = static_cast<float>(size.width());
  result.height = static_cast<float>(size.height());
  std::vector<PdfWord> turned;
  for (const poppler::text_box& box : page.text_list()) {
    const poppler::rectf r = box.bbox();
    const poppler::byte_array text = box.text().to_utf8();
    PdfWord word{static_cast<float>(r.left()),   static_cast<float>(r.top()), static_cast<float>(r.right()),
                 static_cast<float>(r.bottom()), box.has_space_after(),       std::string(text.data(), text.size())};
    if (box.rotation() == 0) {
      result.words.push_back(std::move(word));
      continue;
    }
    const PdfWord w = word;
    if (box.rotation() == 2) {
      word.left = result.width - w.right, word.right = result.width - w.left;
      word.top = result.height - w.bottom, word.bottom = result.height - w.top;
    } else if (box.rotation() == 1) {
      word.left = w.top, word.right = w.bottom, word.top = result.width - w.right, word.bottom = result.width - w.left;
    } else {
      word.left = result.height - w.bottom, word.right = result.height - w.top, word.top = w.left,
      word.bottom = w.right;
    }
    turned.push_back(std::move(word));
  }
  if (turned.size() > result.words.size()) result.words.swap(turned);
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: eddy-pdf-text FILE\n", stderr);
    return 2;
  }
  poppler::set_debug_error_function([](const std::string&, void*) {}, nullptr);
  const std::unique_ptr<poppler::document> document(poppler::document::load_from_file(argv[1]));
  if (!document) return eddy::extract::kPdfDamaged;
  if (document->is_locked()) return eddy::extract::kPdfEncrypted;
  std::vector<PdfPage> pages;
  for (int i = 0; i < document->pages(); ++i) {
    const std::unique_ptr<poppler::page> page(document->create_page(i));
    if (page) pages.push_back(words_of(*page));
  }
  const eddy::extract::PdfText text = eddy::extract::layout_text(pages);
  std::fwrite(text.body.data(), 1, text.body.size(), stdout);
  std::fputc('\n', stdout);
  if (!text.references.empty()) {
    std::fputc(eddy::extract::kPdfReferences, stdout);
    std::fwrite(text.references.data(), 1, text.references.size(), stdout);
    std::fputc('\n', stdout);
  }
  return std::fflush(stdout) == 0 ? 0 : 1;
}
