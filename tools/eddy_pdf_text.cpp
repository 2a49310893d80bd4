// eddy-pdf-text FILE: the text of a PDF, in reading order, as UTF-8 on stdout, pages ended by a form feed. A program of
// its own, because damaged files crash PDF readers: eddy-shard runs it with limits on time and memory.
#include <poppler-document.h>
#include <poppler-global.h>
#include <poppler-page.h>

#include <cstdio>
#include <memory>

#include "extract/pdf.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: eddy-pdf-text FILE\n", stderr);
    return 2;
  }
  poppler::set_debug_error_function([](const std::string&, void*) {}, nullptr);
  const std::unique_ptr<poppler::document> document(poppler::document::load_from_file(argv[1]));
  if (!document) return eddy::extract::kPdfDamaged;
  if (document->is_locked()) return eddy::extract::kPdfEncrypted;
  for (int i = 0; i < document->pages(); ++i) {
    const std::unique_ptr<poppler::page> page(document->create_page(i));
    if (!page) continue;
    const poppler::byte_array text = page->text(poppler::rectf(), poppler::page::non_raw_non_physical_layout).to_utf8();
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fputc('\f', stdout);
  }
  return std::fflush(stdout) == 0 ? 0 : 1;
}
