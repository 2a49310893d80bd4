#include "extract/latex.h"

#include <algorithm>

#include "extract/tex_interpreter.h"
#include "text/clean.h"

namespace eddy::extract {

using std::string;
using std::string_view;

namespace tex {

Article Interpreter::take() {
  Article article;
  preamble_ = finished_ = bibliography_ = false;
  out_.mute(false);
  article.title = render(title_, false);
  std::replace(article.title.begin(), article.title.end(), '\n', ' ');
  article.abstract = std::move(out_.abstract);
  article.blocks = out_.take_blocks();
  article.unresolved = unresolved_;
  const auto finish = [&](string& text) {
    numbers_.resolve(text);
    const bool ascii =
        std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
    if (!ascii) text = text::clean(text).text;  // composes letters and accents
  };
  finish(article.title);
  finish(article.abstract);
  for (Block& b : article.blocks) {
    finish(b.title);
    finish(b.text);
  }
  return article;
}

}  // namespace tex

Article extract_latex(const std::vector<MainSource>& mains, const Loader& load, std::uint64_t budget) {
  Article result;
  std::uint64_t bytes = 0;
  for (const MainSource& main : mains) bytes += main.bytes.size();
  std::uint64_t left = budget + 32 * bytes;  // for all of them: an archive may have thousands
  for (const MainSource& main : mains) {
    const string source = tex::to_utf8(main.bytes);
    const Loader from_folder = [&](const string& name) {
      if (main.folder.empty()) return load(name);
      auto content = load(main.folder + '/' + name);
      return content ? content : load(name);
    };
    const bool preamble = source.find("\\documentclass") != string::npos ||
                          source.find("\\documentstyle") != string::npos ||
                          source.find("\\begin{document}") != string::npos;
    tex::Interpreter reader(from_folder, left);
    reader.run(source, preamble);
    left -= std::min(left, reader.used());
    Article article;
    if (preamble && !reader.saw_document()) {  // a fragment: all of it is text
      tex::Interpreter again(from_folder, left);
      again.run(source, false);
      left -= std::min(left, again.used());
      article = again.take();
    } else {
      article = reader.take();
    }
    if (result.title.empty()) result.title = std::move(article.title);
    if (result.abstract.empty()) result.abstract = std::move(article.abstract);
    result.unresolved += article.unresolved;
    std::move(article.blocks.begin(), article.blocks.end(), std::back_inserter(result.blocks));
  }
  return result;
}

}  // namespace eddy::extract
