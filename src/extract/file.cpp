#include "extract/file.h"

#include <algorithm>

#include "base/error.h"
#include "extract/latex.h"
#include "extract/pdf.h"
#include "extract/source_scan.h"
#include "io/file.h"
#include "text/clean.h"

namespace eddy::extract {
namespace fs = std::filesystem;
namespace {

constexpr std::uintmax_t kLargestFile = std::uintmax_t{1} << 30;

/// The file that \input{name} means from `folder`, with or without .tex, within `root`; or nothing.
std::optional<fs::path> find_input(const std::string& name, const fs::path& folder, const fs::path& root) {
  for (const std::string& candidate : {name + ".tex", name}) {
    std::error_code none;
    const fs::path path = fs::canonical(folder / candidate, none);
    if (none || !fs::is_regular_file(path, none) || none || fs::file_size(path, none) > kLargestFile) continue;
    const fs::path relative = path.lexically_relative(fs::canonical(root, none));
    if (!none && !relative.empty() && *relative.begin() != "..") return path;
  }
  return std::nullopt;
}

ArticleOutcome extract_tex(const fs::path& path, const fs::path& root) {
  const std::string source = io::read_file(path);
  if (const std::string clean = strip_comments(source); is_macro_file(clean) && !has_document(clean))
    return {.outcome = Outcome::reject("LaTeX: macros, no text")};
  const Loader load = [&](const std::string& name) -> std::optional<std::string> {
    const auto found = find_input(name, path.parent_path(), root);
    return found ? std::optional(io::read_file(*found)) : std::nullopt;
  };
  return finished(extract_latex({{source}}, load));
}

}  // namespace

std::optional<Kind> kind_of(const fs::path& path) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (ending == ".tex") return Kind::latex;
  if (ending == ".md" || ending == ".txt") return Kind::plain;
  if (ending == ".pdf") return Kind::pdf;
  if (ending == ".jsonl") return Kind::jsonl;
  return std::nullopt;
}

Outcome clean_text(std::string_view bytes) {
  text::Cleaned c = text::clean(bytes);
  if (text::is_blank(c.text)) return Outcome::reject("no text");
  const std::uint64_t characters = text::count_characters(c.text) + c.controls;
  if (c.invalid * 100 > characters)
    return Outcome::reject("not UTF-8", fmt::format("{} ill-formed sequences", c.invalid));
  if (c.controls * 100 > characters)
    return Outcome::reject("not text", fmt::format("{} control characters", c.controls));
  return {.text = std::move(c.text), .invalid_utf8 = c.invalid, .controls = c.controls};
}

Outcome extract_file(const fs::path& path, Kind kind, const fs::path& root, const fs::path& pdf_program) {
  try {
    if (fs::file_size(path) > kLargestFile) return Outcome::reject("larger than 1 GiB");
    if (kind == Kind::latex) return extract_tex(path, root).outcome;
    if (kind == Kind::plain) return clean_text(io::read_file(path));
    Outcome pdf = extract_pdf(path, pdf_program);
    if (pdf.rejected()) return pdf;
    Outcome result = clean_text(pdf.text);
    if (result.reason == "no text") result.reason = "PDF: no text layer";
    return result;
  } catch (const fs::filesystem_error& e) {
    return Outcome::reject("cannot be read", e.code().message());
  } catch (const Error& e) {
    if (e.status() != Exit::unusable) throw;
    return Outcome::reject("cannot be read", e.what());
  }
}

ArticleOutcome extract_article(const fs::path& path, Kind kind, const fs::path& root, const PdfRoute& pdf) {
  const auto by_kind = [&] {
    ArticleOutcome result{.outcome = extract_file(path, kind, root, pdf.program)};
    if (!result.outcome.rejected()) result.article = article_of_text(result.outcome.text);
    return result;
  };
  try {
    if ((kind == Kind::latex || (kind == Kind::pdf && pdf.grobid)) && fs::file_size(path) <= kLargestFile) {
      if (kind == Kind::latex) return extract_tex(path, root);
      return with_grobid(io::read_file(path), pdf, by_kind);
    }
  } catch (const fs::filesystem_error&) {  // `extract_file` says what is wrong
  } catch (const Error& e) {
    if (e.status() != Exit::unusable) throw;
  }
  return by_kind();
}

TexLinks tex_links(const fs::path& path, const fs::path& root) {
  std::string source = strip_comments(io::read_file(path));
  TexLinks links{.main = has_document(source)};
  for (std::size_t next = 0;; ++next) {
    for (const std::string& name : input_names(source)) {
      auto found = find_input(name, path.parent_path(), root);
      if (found && std::find(links.inputs.begin(), links.inputs.end(), *found) == links.inputs.end())
        links.inputs.push_back(std::move(*found));
    }
    if (next == links.inputs.size()) return links;
    source = strip_comments(io::read_file(links.inputs[next]));
  }
}

std::vector<bool> parts_of_others(const std::vector<bool>& is_main,
                                  const std::vector<std::vector<std::size_t>>& inputs) {
  const std::size_t n = is_main.size();
  std::vector<bool> drawn_in(n, false), part(n, false), seen(n, false);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j : inputs[i])
      if (j != i) drawn_in[j] = true;
  const auto reach = [&](std::size_t root) {
    std::vector<std::size_t> stack{root};
    seen[root] = true;
    while (!stack.empty()) {
      const std::size_t i = stack.back();
      stack.pop_back();
      for (std::size_t j : inputs[i]) {
        if (j != root && !is_main[j]) part[j] = true;
        if (!seen[j]) {
          seen[j] = true;
          stack.push_back(j);
        }
      }
    }
  };
  for (std::size_t i = 0; i < n; ++i)
    if (is_main[i] || !drawn_in[i]) reach(i);
  for (std::size_t i = 0; i < n; ++i)
    if (!seen[i]) reach(i);  // nothing leads here but a circle: its first file stands for it
  return part;
}

}  // namespace eddy::extract
