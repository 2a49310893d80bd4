#include "extract/article.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "extract/grobid.h"
#include "extract/latex.h"
#include "extract/main_file.h"

namespace eddy::extract {
namespace {

using std::string;
using std::string_view;

ArticleOutcome from_text(Outcome outcome) {
  ArticleOutcome result{.outcome = std::move(outcome)};
  if (!result.outcome.rejected()) result.article = article_of_text(result.outcome.text);
  return result;
}

/// Poppler's program reads files, so the bytes go through an anonymous one.
Outcome poppler_from_memory(string_view bytes, const std::filesystem::path& program) {
  const int fd = ::memfd_create("eddy-pdf", 0);
  if (fd < 0) fail_run("cannot make a file in memory: {}", std::strerror(errno));
  Outcome result;
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t n = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (n < 0) fail_run("cannot write a file in memory: {}", std::strerror(errno));
    done += static_cast<std::size_t>(n);
  }
  result = extract_file(fmt::format("/proc/self/fd/{}", fd), Kind::pdf, {}, program);
  ::close(fd);
  return result;
}

/// A payload's PDF.
ArticleOutcome pdf_from_memory(string_view bytes, const PdfRoute& pdf) {
  return with_grobid(bytes, pdf, [&] { return from_text(poppler_from_memory(bytes, pdf.program)); });
}

ArticleOutcome from_sources(const std::vector<ArchiveFile>& files, const PdfRoute& pdf) {
  const MainFiles mains = find_main_files(files);
  if (mains.files.empty()) {
    for (const ArchiveFile& f : files)
      if (payload_of(f.bytes) == Payload::pdf) return pdf_from_memory(f.bytes, pdf);
    return {.outcome = Outcome::reject(mains.reason)};
  }
  const ArchiveIndex index(files);
  const Loader load = [&](const string& input) -> std::optional<string> {
    const auto f = index.input(input);
    return f ? std::optional(files[*f].bytes) : std::nullopt;
  };
  std::vector<MainSource> sources;
  for (const std::size_t i : mains.files) {
    const std::size_t slash = files[i].name.rfind('/');
    sources.push_back({files[i].bytes, slash == string::npos ? "" : files[i].name.substr(0, slash)});
  }
  return finished(extract_latex(sources, load));
}

}  // namespace

ArticleOutcome finished(Article article) {
  Outcome outcome = clean_text(article.text());
  outcome.unresolved_inputs = article.unresolved;
  if (outcome.rejected()) return {.outcome = std::move(outcome)};
  return {std::move(article), std::move(outcome)};
}

ArticleOutcome with_grobid(string_view bytes, const PdfRoute& pdf, const std::function<ArticleOutcome()>& poppler) {
  if (!pdf.grobid) return poppler();
  ArticleOutcome read = pdf.grobid->read(bytes);
  if (!read.outcome.rejected()) {
    read.outcome.grobid = "used";
    return read;
  }
  ArticleOutcome instead = poppler();
  Outcome& o = instead.outcome;
  o.grobid = read.outcome.reason;
  if (o.rejected()) o.detail += (o.detail.empty() ? "" : "; ") + ("before that " + o.grobid);
  return instead;
}

ArticleOutcome extract_payload(string_view bytes, const PdfRoute& pdf, const ArchiveLimits& limits) {
  switch (payload_of(bytes)) {
    case Payload::empty:
      return {.outcome = Outcome::reject("empty")};
    case Payload::html:
      return {.outcome = Outcome::reject("HTML instead of a paper")};
    case Payload::postscript:
      return {.outcome = Outcome::reject("PostScript")};
    case Payload::pdf:
      return pdf_from_memory(bytes, pdf);
    case Payload::text:
      return from_sources({{"", string(bytes)}}, pdf);
    case Payload::archive:
      break;
  }
  Archive archive = unpack(bytes, limits);
  if (!archive.reason.empty()) return {.outcome = Outcome::reject(archive.reason, archive.detail)};
  if (archive.files.size() == 1 && archive.files[0].name.empty()) {  // a lone compressed file
    const string inside = std::move(archive.files[0].bytes);
    switch (payload_of(inside)) {
      case Payload::archive:
        return {.outcome = Outcome::reject("archive: nested")};
      default:
        return extract_payload(inside, pdf, limits);
    }
  }
  return from_sources(archive.files, pdf);
}

Article article_of_text(string_view text) {
  Article article;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t end = std::min(text.find("\n\n", i), text.size());
    string_view piece = text.substr(i, end - i);
    while (!piece.empty() && (piece.front() == '\n')) piece.remove_prefix(1);
    while (!piece.empty() && (piece.back() == '\n' || piece.back() == ' ')) piece.remove_suffix(1);
    if (piece.find_first_not_of(" \t\n") != string_view::npos)
      article.blocks.push_back({.kind = BlockKind::paragraph, .text = string(piece)});
    i = end + 2;
  }
  return article;
}

}  // namespace eddy::extract
