// Files that a source draws in.
#include "extract/tex_interpreter.h"

namespace eddy::extract::tex {

using std::string;
using std::string_view;

string to_utf8(string_view bytes) {
  // Well-formed?
  bool ascii = true, utf8 = true, plain = true;
  for (std::size_t i = 0; i < bytes.size();) {
    const auto c = static_cast<unsigned char>(bytes[i]);
    if (c < 0x80) {
      plain = plain && (c > 2 && c != '\r' && c != '\f' && c != '\v');
      ++i;
      continue;
    }
    ascii = false;
    const std::size_t n = c >= 0xF0 && c < 0xF5 ? 4 : c >= 0xE0 ? 3 : c >= 0xC2 ? 2 : 0;
    bool good = n > 0 && c < 0xF5 && i + n <= bytes.size();
    for (std::size_t k = 1; good && k < n; ++k) good = (static_cast<unsigned char>(bytes[i + k]) & 0xC0) == 0x80;
    utf8 = utf8 && good;
    i += good ? n : 1;
  }
  if (bytes.substr(0, 3) == "\xEF\xBB\xBF") bytes.remove_prefix(3);
  if (plain && (ascii || utf8)) return string(bytes);
  string out;
  out.reserve(bytes.size() + bytes.size() / 16);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto c = static_cast<unsigned char>(bytes[i]);
    if (c == '\r') {
      if (i + 1 >= bytes.size() || bytes[i + 1] != '\n') out += '\n';
    } else if (c == '\f' || c == '\v') {
      out += '\n';
    } else if (c <= 3) {
      continue;
    } else if (c < 0x80 || utf8) {
      out += static_cast<char>(c);
    } else {
      out += static_cast<char>(0xC0 | (c >> 6));
      out += static_cast<char>(0x80 | (c & 0x3F));
    }
  }
  return out;
}

bool Interpreter::read_file(const string& folder, const string& name) {
  if (!in_.takes_files()) return false;
  for (const string& candidate : {folder + name, name}) {
    auto content = load_(candidate);
    if (content) {
      string text = to_utf8(*content);
      if (text.find("\\begin{document}") != string::npos && saw_document_) text = string(document_body(text));
      return in_.push_file(std::move(text), folder, false);
    }
    if (folder.empty()) break;
  }
  return false;
}

void Interpreter::input(string_view name) {
  string folder = in_.folder();
  if (name == "import" || name == "subimport" || name == "includefrom") {
    in_.star();
    const string below = in_.argument();
    folder = name == "import" ? below : folder + below;
    if (!folder.empty() && folder.back() != '/') folder += '/';
  }
  if (name == "subfileinclude" || name == "include") out_.end_paragraph();
  string file;
  in_.skip_space();
  if (in_.peek() == '{') {
    file = in_.argument();
  } else if (name == "input") {
    while (in_.peek() != Reader::kEnd && in_.peek() > ' ' && in_.peek() != '\\' && in_.peek() != '}' &&
           in_.peek() != '{')
      file += static_cast<char>(in_.get());
  }
  while (!file.empty() && (file.back() == ' ' || file.back() == '\n')) file.pop_back();
  file.erase(0, std::min(file.find_first_not_of(" \n\""), file.size()));
  if (!file.empty() && file.back() == '"') file.pop_back();
  // A name in a macro, \input{\folder/a}, is its text.
  if (file.find('\\') != string::npos) file = render(file, false);
  const bool found = !file.empty() && file.find_first_of("\\#{}$\n") == string::npos && read_file(folder, file);
  if (!found) ++unresolved_;
}

/// Definitions of packages that come with the paper; those of TeX distributions are not to be had and not needed.
void Interpreter::packages() {
  in_.optional_argument();
  const string names = in_.argument();
  for (std::size_t i = 0; i <= names.size();) {
    const std::size_t end = std::min(names.find(',', i), names.size());
    string name = names.substr(i, end - i);
    std::erase_if(name, [](char c) { return c == ' ' || c == '\n'; });
    i = end + 1;
    if (name.empty() || styles_ >= 32 || !in_.takes_files()) continue;
    auto content = load_(name + ".sty");
    if (!content) continue;
    ++styles_;
    read_style(to_utf8(*content));
  }
}

void Interpreter::read_style(string text) {
  if (style_) return;
  const std::size_t mark = in_.enter();
  const bool preamble = preamble_;
  preamble_ = style_ = true;
  out_.mute(true);
  const std::size_t groups = groups_.size();
  if (in_.push_file(std::move(text), "", true)) read();
  while (groups_.size() > groups) close_group();
  in_.leave(mark);
  finished_ = style_ = false;
  preamble_ = preamble;
  out_.mute(preamble_ || bibliography_);
}

void Interpreter::input_verbatim(string_view name) {
  if (name == "lstinputlisting") in_.optional_argument();
  const string file = in_.argument();
  auto content = in_.takes_files() ? load_(file) : std::nullopt;
  if (!content || !in_.take_bytes(content->size())) {
    ++unresolved_;
    return;
  }
  out_.end_paragraph();
  string text = to_utf8(*content);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  if (!out_.muted() && !text.empty()) out_.add({.kind = BlockKind::code, .text = std::move(text)});
}

}  // namespace eddy::extract::tex
