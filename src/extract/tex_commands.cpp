// Control sequences in text.
#include "extract/tex_interpreter.h"

namespace eddy::extract::tex {

using std::string;
using std::string_view;

void Interpreter::control_sequence() {
  const string name = in_.control_name();
  if (name.empty()) return;
  if (name[0] == '\x03') return end_environment();  // put there by `end`
  const Macro* macro = macros_.find(name);
  const Command* known = command(name);
  // What a LaTeX class does to \section or \cite is looks; plain TeX has no such commands but those a paper defines.
  const bool fixed =
      known && known->fixed && (latex_ || known->what != Do::special || name == "begin" || name == "end");
  if (macro && !fixed) return expand(*macro);
  if (known) return builtin(name, *known);
  unknown();
}

void Interpreter::expand(const Macro& macro) {
  if (!macro.alias.empty()) {
    if (const Command* c = command(macro.alias)) builtin(string(macro.alias), *c);
    return;
  }
  string passed;
  const bool at = macro.at_letter;
  if (const auto text = expansion(macro, in_, passed))
    in_.push(*text, at);
  else if (!passed.empty())
    out_.text(passed);
}

/// What an unknown command does cannot be known; the text in its arguments stays.
void Interpreter::unknown() {
  if (in_.blank_after_name()) out_.space();
  if (in_.peek() == '[') {  // options, unless they read like text
    const string_view s = in_.rest().substr(0, Reader::kWindow);
    const std::size_t close = s.find(']');
    if (close != string_view::npos && close + 1 < s.size() && s[close + 1] == '{' &&
        s.substr(0, close).find(' ') == string_view::npos)
      in_.optional_argument();
  }
  if (in_.peek() != '{') return;
  string text;
  int n = 0;
  for (; n < 9 && in_.peek() == '{'; ++n) text += (n ? " {" : "{") + in_.argument() + '}';
  in_.push(text, in_.at_letter());
}

void Interpreter::builtin(string_view name, const Command& c) {
  switch (c.what) {
    case Do::symbol:
      if (c.text == " ")
        out_.space();
      else
        out_.text(c.text);
      break;
    case Do::accent:
      accent(c.text);
      break;
    case Do::heading:
      heading(name, c.level);
      break;
    case Do::paragraph:
      if (!tables_) out_.end_paragraph();
      arguments(c.text, "\\par ");
      break;
    case Do::line_break:
      in_.star();
      in_.optional_argument();
      out_.line_break();
      break;
    case Do::definition:
      definition(name);
      break;
    case Do::condition:
      condition(name);
      break;
    case Do::special:
      special(name);
      break;
    case Do::arguments:
      if (in_.blank_after_name() && c.text.empty()) out_.space();
      arguments(c.text);
      break;
  }
}

void Interpreter::arguments(string_view specification, string_view behind) {
  string text;
  for (const char s : specification) switch (s) {
      case '*':
        in_.star();
        break;
      case 'o':
        in_.optional_argument();
        break;
      case 'p':
        in_.optional_argument('(', ')');
        break;
      case 'd':
        in_.argument();
        break;
      case 'b':
        skip_box_size();
        break;
      case '=':
        assignment();
        break;
      case 'w':
        in_.skip_space();
        if (in_.peek() == '\\') {
          in_.get();
          in_.control_name();
        }
        break;
      case 't':
        text += (text.empty() ? "{" : " {") + in_.argument() + '}';
        break;
      default:
        break;
    }
  if (!text.empty()) in_.push(text += behind, in_.at_letter());
}

/// "to 3in", "spread 2pt" before a box's contents.
void Interpreter::skip_box_size() {
  in_.skip_space();
  const string_view s = in_.rest().substr(0, 41);
  if (s.substr(0, 2) != "to" && s.substr(0, 6) != "spread") return;
  const std::size_t open = s.find('{');
  if (open != string_view::npos) in_.advance(open);
}

/// "= 3pt plus 1fil", "=-0.5\\hsize", "={…}"; nothing when neither '=' nor a number comes.
void Interpreter::assignment() {
  const auto digit = [](int c) { return (c >= '0' && c <= '9') || c == '.' || c == ','; };
  const auto number = [&] {
    while (in_.peek() == '-' || in_.peek() == '+') in_.get();
    if (in_.peek() == '`' || in_.peek() == '"' || in_.peek() == '\'') {
      in_.get();
      if (in_.peek() == '\\') in_.get();
      in_.get();
      return;
    }
    while (digit(in_.peek())) in_.get();
    const string_view s = in_.rest();
    std::size_t i = s.substr(0, 1) == " " ? 1 : 0;
    if (s.substr(i, 4) == "true") i += 4;
    if (i + 1 < s.size() && is_letter(s[i]) && is_letter(s[i + 1]) &&
        (i + 2 >= s.size() || !is_letter(s[i + 2]) || s.substr(i, 3) == "fil")) {
      i += 2;
      while (i < s.size() && s[i] == 'l') ++i;
      in_.advance(i);
    } else if (in_.peek() == '\\') {
      in_.get();
      const string box = in_.control_name();
      if (box == "hbox" || box == "vbox" || box == "vtop") {
        skip_box_size();
        in_.argument();
      }
    }
  };
  const string_view s = in_.rest();
  const std::size_t first = s.find_first_not_of(" \t");
  if (first == string_view::npos || s[first] == '\n') return;
  const char c = s[first];
  if (c != '=' && c != '-' && !digit(c)) {
    if (c == '\\' && first == 0 && s.size() > 1 && is_letter(s[1])) number();  // \parskip\smallskipamount
    return;
  }
  in_.advance(first);
  if (c != '=') number();
  in_.skip_space();
  if (in_.peek() == '=') {
    in_.get();
    in_.skip_space();
    if (in_.peek() == '{') {
      in_.argument();
      return;
    }
    number();
  }
  for (const string_view more : {" plus", "plus", " minus", "minus"})
    if (in_.rest().substr(0, more.size()) == more) {
      in_.advance(more.size());
      in_.skip_space();
      number();
    }
  if (in_.peek() == ' ') in_.get();
}

void Interpreter::accent(string_view combining) {
  string base = in_.argument();
  if (base == "\\i" || base == "\\j") base.erase(0, 1);
  if (base.size() > 1 && (base[0] == '\\' || base[0] == '{' || base[0] == '$')) base = render(base);
  if (base.empty()) return;
  std::size_t first = 1;  // the mark goes behind the first character
  while (first < base.size() && (static_cast<unsigned char>(base[first]) & 0xC0) == 0x80) ++first;
  out_.text(base.substr(0, first));
  if (is_letter(base[0]) || first > 1) out_.text(combining);
  if (first < base.size()) out_.text(base.substr(first));
}

void Interpreter::csname() {
  const auto inside = in_.until("\\endcsname");
  if (!inside) return;
  const string name(*inside);
  if (!name.empty() && name.find_first_of("\\ {}$%") == string::npos) {
    if (const Macro* macro = macros_.find(name)) {
      expand(*macro);
    } else if (const Command* c = command(name); c && !mathematics_) {
      builtin(name, *c);
    }
  }
}

/// \char`\%, \char37, \char"25
void Interpreter::character() {
  in_.skip_space();
  if (in_.peek() == '`') {
    in_.get();
    if (in_.peek() == '\\') in_.get();
    const char c = static_cast<char>(in_.get());
    if (c > ' ' && c < 0x7f) out_.text({&c, 1});
    return;
  }
  const int base = in_.peek() == '"' ? 16 : in_.peek() == '\'' ? 8 : 10;
  if (base != 10) in_.get();
  int value = 0;
  for (int n = 0; n < 6; ++n) {
    const int c = in_.peek();
    const int digit = c >= '0' && c <= '9' ? c - '0' : base == 16 && c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
    if (digit >= base) break;
    value = value * base + digit;
    in_.get();
  }
  const char c = static_cast<char>(value);
  if (value > ' ' && value < 0x7f) out_.text({&c, 1});
}

void Interpreter::verb(string_view name) {
  in_.star();
  if (name != "verb") in_.optional_argument();
  if (name == "mintinline") in_.argument();
  const int stop = in_.peek();
  if (stop == Reader::kEnd || stop == '\n') return;
  in_.get();
  const char end = stop == '{' ? '}' : static_cast<char>(stop);
  const string_view s = in_.rest().substr(0, Reader::kWindow);
  const std::size_t close = s.find(end), line = s.find('\n');
  if (close == string_view::npos || close > line) return;
  out_.text(s.substr(0, close));
  in_.advance(close + 1);
}

void Interpreter::heading(string_view name, int level) {
  if (!latex_ && in_.peek() != '{' && in_.peek() != '*' && in_.peek() != '[') return out_.end_paragraph();
  const bool star = in_.star();
  in_.optional_argument();
  string text = render(in_.argument(), false);
  for (char& c : text)
    if (c == '\n') c = ' ';
  if (name == "chapter" && !preamble_) numbers_.use_chapters();
  string number;
  const string counter(level == 0 ? "chapter" : level == 1 ? "section" : level == 2 ? "subsection" : "subsubsection");
  const bool counted = !star && (level <= 2 || (level == 3 && numbers_.value("subsection") > 0)) && name != "part" &&
                       name.substr(0, 3) != "add" && name != "frametitle";
  if (counted) number = numbers_.step(counter, level == 0 ? "Chapter" : "Section");
  out_.end_paragraph();
  if (level <= 1) out_.close_to(0);  // an environment that was never closed does not swallow the next section
  string low;
  for (const char c : text)
    if (is_letter(c)) low += static_cast<char>(c | 0x20);
  bibliography_ = low == "references" || low == "bibliography" || low == "literaturecited" || low == "referencescited";
  out_.mute(preamble_ || bibliography_);
  if (bibliography_ && counted) numbers_.step_back(counter);
  if (!text.empty() && !bibliography_)
    out_.add({.kind = BlockKind::heading, .level = level, .number = std::move(number), .text = std::move(text)});
}

void Interpreter::item() {
  const auto mark = in_.optional_argument();
  if (lists_.empty()) {  // plain TeX: \item{mark}
    out_.end_paragraph();
    if (mark) out_.text(render(*mark));
    if (!mark && in_.peek() == '{') out_.text(render(in_.argument()));
    out_.space();
    return;
  }
  // What is open within this list is the item before.
  if (out_.container() && out_.container()->kind == BlockKind::item) out_.close();
  out_.end_paragraph();
  Block block{.kind = BlockKind::item, .level = static_cast<int>(lists_.size())};
  List& list = lists_.back();
  if (mark) {
    block.title = render(*mark, false);
    numbers_.set_current(block.title, "item");
  } else if (list.enumerated) {
    ++list.count;
    block.number = lists_.size() == 2 && list.count <= 26 ? string(1, static_cast<char>('a' + list.count - 1))
                                                          : std::to_string(list.count);
    numbers_.set_current(block.number, "item");
  }
  out_.open(std::move(block));
}

namespace {
string without_empty_lines(const string& s) {
  string out;
  for (std::size_t i = 0; i < s.size(); ++i) {
    const bool empty = s[i] == '\n' && i + 1 < s.size() && s[i + 1] == '\n';
    out += empty ? ' ' : s[i];
    i += empty ? 1 : 0;
  }
  return out;
}
}  // namespace

void Interpreter::caption(bool of) {
  in_.star();
  string kind = of ? in_.argument() : float_;
  in_.optional_argument();
  const string raw = in_.argument();
  if (kind.empty()) kind = "figure";
  Block block{.kind = BlockKind::caption, .name = kind};
  string printed = kind;
  printed[0] = printed[0] >= 'a' && printed[0] <= 'z' ? static_cast<char>(printed[0] - 32) : printed[0];
  block.number = numbers_.step(kind, printed);
  block.text = without_empty_lines(render(raw));
  if (out_.muted()) return;
  out_.end_paragraph();
  if (!block.text.empty()) out_.add(std::move(block));
}

void Interpreter::footnote() {
  in_.optional_argument();
  string raw = in_.argument();
  if (!latex_ && in_.peek() == '{') raw = in_.argument();  // plain TeX: the mark first
  if (!preamble_) out_.footnote(render(raw, false));
  if (const int next = in_.peek(); next == '.' || next == ',' || next == ';') out_.no_space();
}

void Interpreter::label() {
  const string name = in_.argument();
  numbers_.label(name);
  out_.label(name);
}

}  // namespace eddy::extract::tex
