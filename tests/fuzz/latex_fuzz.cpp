// Any bytes as LaTeX: no crash, no hang, valid UTF-8, no more text than the limits on expansion allow.
#include "extract/latex.h"

#include <cstdint>
#include <cstdlib>

#include "text/clean.h"

using namespace eddy::extract;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string source(reinterpret_cast<const char*>(data), size);
  // The source is its own input and its own package, too.
  int left = 4;
  const Loader load = [&](const std::string& name) -> std::optional<std::string> {
    return --left >= 0 && (name.size() < 4 || name.ends_with(".sty")) ? std::optional(source) : std::nullopt;
  };
  const Article article = extract_latex({{source}}, load, 1 << 20);  // bombs end as well, and sooner
  const ArticleOutcome outcome = finished(article);
  if (!outcome.outcome.rejected() && eddy::text::clean(outcome.outcome.text).invalid > 0) std::abort();
  strip_comments(source);
  input_names(source);
  is_macro_file(source);
  return 0;
}
