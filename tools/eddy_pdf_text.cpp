// eddy-pdf-text FILE: the text of a PDF as UTF-8 on stdout: paragraphs in reading order, parted by empty lines, without
// page headers, footers and numbers; then, behind the control character RS, its reference list. A program of its own,
// because damaged files crash PDF readers (eddy-shard runs it with limits on time and memory), and because poppler is
// under the GPL, which then holds for this program only.
#include <poppler-document.h>
#include <poppler-global.h>
#include <poppler-page.h>

#include <cstdio>
#include <limits>
#include <memory>

#include "extract/pdf.h"
#include "extract/pdf_layout.h"

namespace {

using eddy::extract::PdfPage;
using eddy::extract::PdfWord;

/// ustring::to_utf8 opens a converter for each word, which takes as long as reading the page.
std::string utf8(const poppler::ustring& s) {
  std::string out;
  for (std::size_t i = 0; i < s.size(); ++i) {
    std::uint32_t c = s[i];
    if (c == 0xFEFF) continue;  // byte order mark
    if (c >= 0xD800 && c < 0xDC00 && i + 1 < s.size() && s[i + 1] >= 0xDC00 && s[i + 1] < 0xE000)
      c = 0x10000 + ((c - 0xD800) << 10) + (s[++i] - 0xDC00u);
    if (c < 0x80) {
      out += static_cast<char>(c);
    } else if (c < 0x800) {
      out += static_cast<char>(0xC0 | c >> 6);
      out += static_cast<char>(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
      if (c >= 0xD800 && c < 0xE000) c = 0xFFFD;
      out += static_cast<char>(0xE0 | c >> 12);
      out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
      out += static_cast<char>(0x80 | (c & 0x3F));
    } else {
      out += static_cast<char>(0xF0 | c >> 18);
      out += static_cast<char>(0x80 | (c >> 12 & 0x3F));
      out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
      out += static_cast<char>(0x80 | (c & 0x3F));
    }
  }
  return out;
}

/// Upright words. Turned ones are a stamp at the page's edge, unless most of the page is turned: then it is read so.
PdfPage words_of(const poppler::page& page) {
  PdfPage result;
  const poppler::rectf size = page.page_rect();
  result.width = static_cast<float>(size.width());
  result.height = static_cast<float>(size.height());
  std::vector<PdfWord> turned;
  for (const poppler::text_box& box : page.text_list()) {
    const poppler::rectf r = box.bbox();
    PdfWord word{static_cast<float>(r.left()),   static_cast<float>(r.top()), static_cast<float>(r.right()),
                 static_cast<float>(r.bottom()), box.has_space_after(),       utf8(box.text())};
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

std::string contents(const char* name) {
  std::string bytes;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(name, "rb"), std::fclose);
  std::vector<char> block(1 << 20);
  for (std::size_t n = 1; file && n > 0; bytes.append(block.data(), n))
    n = std::fread(block.data(), 1, block.size(), file.get());
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: eddy-pdf-text FILE\n", stderr);
    return 2;
  }
  poppler::set_debug_error_function([](const std::string&, void*) {}, nullptr);
  // From memory: poppler reads files 256 bytes at a time, and again for each page.
  const std::string bytes = contents(argv[1]);
  if (bytes.size() > std::numeric_limits<int>::max()) return eddy::extract::kPdfDamaged;
  const std::unique_ptr<poppler::document> document(
      poppler::document::load_from_raw_data(bytes.data(), static_cast<int>(bytes.size())));
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
