#include "extract/source_scan.h"

#include <algorithm>
#include <array>

namespace eddy::extract {
namespace {

using std::string;
using std::string_view;

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

/// Names and \verb that go on for longer are none: each would be searched through again from the next one on.
constexpr std::size_t kWindow = 4096;

/// True when `word` (with its backslash) stands at `at` as a whole control word.
bool control_word_at(string_view s, std::size_t at, string_view word) {
  return s.substr(at, word.size()) == word && (at + word.size() >= s.size() || !is_letter(s[at + word.size()]));
}

/// The end of the environment that begins at `at` ("\begin{name}"): past its "\end{name}", or the text's end.
std::size_t environment_end(string_view s, std::size_t at, const string& name) {
  const string end = "\\end{" + name + "}";
  const std::size_t found = s.find(end, at);
  return found == string_view::npos ? s.size() : found + end.size();
}

constexpr std::array<string_view, 6> kVerbatim{"verbatim",   "verbatim*", "Verbatim",
                                               "lstlisting", "minted",    "filecontents"};

}  // namespace

string strip_comments(string_view s) {
  string out;
  out.reserve(s.size());
  for (std::size_t i = 0; i < s.size();) {
    const char c = s[i];
    if (c == '\\') {
      if (s.substr(i, 7) == "\\begin{") {
        const std::size_t close = s.substr(i + 7, kWindow).find('}');
        const string name(s.substr(i + 7, close == string_view::npos ? 0 : close));
        if (name == "comment") {
          i = environment_end(s, i, name);
          continue;
        }
        if (std::find(kVerbatim.begin(), kVerbatim.end(), name) != kVerbatim.end()) {
          const std::size_t end = environment_end(s, i, name);
          out.append(s.substr(i, end - i));
          i = end;
          continue;
        }
      } else if (control_word_at(s, i, "\\verb") && i + 5 < s.size()) {
        const string_view near = s.substr(0, i + kWindow);
        const std::size_t open = s[i + 5] == '*' ? i + 6 : i + 5;
        const std::size_t close = open < near.size() ? near.find(s[open], open + 1) : string_view::npos;
        const std::size_t line = near.find('\n', i);
        if (close != string_view::npos && close < line) {  // \verb ends on its own line
          out.append(s.substr(i, close + 1 - i));
          i = close + 1;
          continue;
        }
      }
      out.append(s.substr(i, 2));  // an escaped character is never a comment
      i += 2;
    } else if (c == '%') {
      const std::size_t line = s.find('\n', i);
      if (line == string_view::npos) break;
      i = line + 1;
      while (i < s.size() && is_blank(s[i])) ++i;
      if (i < s.size() && s[i] == '\n' && !out.empty() && out.back() != '\n')
        out.push_back('\n');  // a paragraph ends here
    } else {
      out.push_back(c);
      ++i;
    }
  }
  return out;
}

namespace {
constexpr string_view kBegin = "\\begin{document}", kEnd = "\\end{document}";

/// The first occurrence of a command from `at` on; "\\\\begin" is a line break and the word begin, not the command.
std::size_t find_command(string_view s, string_view command, std::size_t at = 0) {
  for (std::size_t i = s.find('\\', at); i != string_view::npos; i = s.find('\\', i + 2))
    if (s.substr(i, command.size()) == command) return i;
  return string_view::npos;
}
}  // namespace

bool has_document(string_view s) {
  return find_command(s, kBegin) != string_view::npos;
}

string_view document_body(string_view s) {
  const std::size_t at = find_command(s, kBegin);
  if (at != string_view::npos) {
    s.remove_prefix(at + kBegin.size());
    std::size_t end = string_view::npos;  // the last one: others are examples in the text
    for (std::size_t i = find_command(s, kEnd); i != string_view::npos; i = find_command(s, kEnd, i + 2)) end = i;
    return s.substr(0, end);
  }
  for (std::size_t i = s.find('\\'); i != string_view::npos; i = s.find('\\', i + 2)) {
    if (control_word_at(s, i, "\\bye")) return s.substr(0, i);
    if (control_word_at(s, i, "\\end") && (i + 4 >= s.size() || s[i + 4] == '\n' || s[i + 4] == ' '))
      return s.substr(0, i);
  }
  return s;
}

bool is_macro_file(string_view s) {
  constexpr std::array<string_view, 28> definitions{
      "\\def",          "\\gdef",           "\\edef",           "\\xdef",
      "\\let",          "\\font",           "\\long",           "\\newif",
      "\\newcommand",   "\\newcount",       "\\newdimen",       "\\newskip",
      "\\newbox",       "\\newtoks",        "\\catcode",        "\\chardef",
      "\\mathchardef",  "\\outer",          "\\expandafter",    "\\global",
      "\\renewcommand", "\\providecommand", "\\newtheorem",     "\\DeclareMathOperator",
      "\\usepackage",   "\\newenvironment", "\\RequirePackage", "\\theoremstyle"};
  std::size_t lines = 0, defining = 0;
  for (std::size_t i = 0; i < s.size();) {
    const std::size_t end = std::min(s.find('\n', i), s.size());
    while (i < end && is_blank(s[i])) ++i;
    if (i < end) {
      ++lines;
      defining +=
          std::any_of(definitions.begin(), definitions.end(), [&](string_view d) { return control_word_at(s, i, d); });
    }
    i = end + 1;
  }
  return defining > 0 && defining * 5 >= lines;
}

namespace {

/// An input command: where it ends, and its argument ("" when it is not a plain name).
struct Input {
  std::size_t end;
  string name;
};

std::optional<Input> input_at(string_view s, std::size_t at) {
  std::size_t i = at;
  bool braces_only = true;
  if (control_word_at(s, at, "\\input")) {
    i += 6;
    braces_only = false;
  } else if (control_word_at(s, at, "\\include")) {
    i += 8;
  } else if (control_word_at(s, at, "\\subfile")) {
    i += 8;
  } else {
    return std::nullopt;
  }
  while (i < s.size() && is_blank(s[i])) ++i;
  string name;
  if (i < s.size() && s[i] == '{') {
    const std::size_t close = s.substr(0, i + kWindow).find('}', i);
    if (close == string_view::npos) return std::nullopt;
    name = s.substr(i + 1, close - i - 1);
    i = close + 1;
  } else {
    if (braces_only) return std::nullopt;
    const std::size_t begin = i;
    while (i < s.size() && !is_blank(s[i]) && s[i] != '\n' && s[i] != '\\' && s[i] != '}' && s[i] != '{') ++i;
    name = s.substr(begin, i - begin);
  }
  while (!name.empty() && is_blank(name.front())) name.erase(0, 1);
  while (!name.empty() && is_blank(name.back())) name.pop_back();
  if (name.find_first_of("\\#{}$\n") != string::npos) name.clear();
  return Input{i, name};
}

}  // namespace

std::vector<string> input_names(string_view s) {
  std::vector<string> names;
  for (std::size_t i = s.find('\\'); i != string_view::npos; i = s.find('\\', i)) {
    const auto input = input_at(s, i);
    if (input && !input->name.empty()) names.push_back(input->name);
    i = input ? input->end : i + 2;
  }
  return names;
}

}  // namespace eddy::extract
