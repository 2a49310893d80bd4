// \begin{…} and \end{…} in text.
#include <algorithm>

#include "extract/tex_interpreter.h"

namespace eddy::extract::tex {

using std::string;
using std::string_view;

namespace {

string lower(string s) {
  for (char& c : s)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return s;
}

/// Rows of a table: blanks at their ends gone, empty ones too.
string tidy_rows(const string& text) {
  string out;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = std::min(text.find('\n', i), text.size());
    const std::size_t next = end + 1;
    while (i < end && text[i] == ' ') ++i;
    while (end > i && text[end - 1] == ' ') --end;
    if (text.find_first_not_of("| ", i) < end) {
      if (!out.empty()) out += '\n';
      out.append(text, i, end - i);
    }
    i = next;
  }
  return out;
}

}  // namespace

/// Past \end{name}; false when there is none in the text on top.
bool Interpreter::skip_raw(const string& name, string* content) {
  const auto inside = in_.until("\\end{" + name + '}');
  if (!inside) return false;
  if (content) *content = string(*inside);
  return true;
}

void Interpreter::begin() {
  string name = in_.argument();
  std::erase_if(name, [](char c) { return c == ' ' || c == '\n'; });
  if (name == "document") {
    preamble_ = false;
    saw_document_ = true;
    latex_ = true;
    groups_.clear();
    out_.mute(false);
    return;
  }
  if (const MathEnvironment* math = math_environment(name)) return display_environment(name, *math);
  if (name == "math") {
    return inline_formula(formula(Stop::environment, name));
  }
  if (name == "dgroup" || name == "dgroup*") return;
  if (const auto theorem = theorems_.find(name); theorem != theorems_.end())
    return begin_theorem(name, theorem->second.printed, theorem->second.numbered);
  const TextEnvironment* known = text_environment(name);
  const Macros::Environment* own = macros_.environment(name);
  if (own && (!known || known->what == Environment::text || known->what == Environment::broken ||
              known->what == Environment::headed || known->what == Environment::table)) {
    open_group(name);
    string passed;
    if (const auto text = expansion(own->begin, in_, passed)) in_.push(*text, own->begin.at_letter);
    return;
  }
  if (own) {  // its look is the paper's, its meaning is known; what it takes must be read all the same
    string passed;
    arguments_of(own->begin, in_, passed);
  }
  if (known) return begin_text(name, *known);
  open_group(name);  // unknown: its text stays
  out_.space();
}

void Interpreter::begin_theorem(const string& name, string printed, bool numbered) {
  open_group(name);
  Block block{.kind = BlockKind::theorem, .name = lower(printed)};
  if (const auto title = in_.optional_argument()) block.title = render(*title, false);
  if (numbered) block.number = numbers_.step(name, printed);
  out_.open(std::move(block));
  groups_.back().depth = out_.depth() - 1;
}

void Interpreter::begin_text(const string& name, const TextEnvironment& e) {
  switch (e.what) {
    case Environment::dropped:
      if (name != "comment" && name.substr(0, 12) != "filecontents") out_.end_paragraph();
      if (skip_raw(name, nullptr)) return;
      open_group(name);
      return;
    case Environment::verbatim: {
      string code;
      if (name == "lstlisting" || name == "Verbatim" || name == "minted") in_.optional_argument();
      if (name == "minted") in_.argument();
      if (!skip_raw(name, &code)) return open_group(name);
      while (!code.empty() && (code.back() == '\n' || code.back() == ' ')) code.pop_back();
      code.erase(0, code.find_first_not_of('\n') == string::npos ? code.size() : code.find_first_not_of('\n'));
      out_.end_paragraph();
      if (!code.empty() && !out_.muted()) out_.add({.kind = BlockKind::code, .text = std::move(code)});
      return;
    }
    case Environment::theorem:
      return begin_theorem(name, string(e.name), false);
    case Environment::proof: {
      open_group(name);
      Block block{.kind = BlockKind::proof};
      if (const auto title = in_.optional_argument()) block.title = render(*title, false);
      out_.open(std::move(block));
      groups_.back().depth = out_.depth() - 1;
      return;
    }
    case Environment::abstract:
      if (!latex_) return out_.end_paragraph();
      open_group(name);
      in_.optional_argument();
      out_.open({}, true);
      groups_.back().depth = out_.depth() - 1;
      return;
    case Environment::list:
      // The item around it ends here: nested items are blocks of their own.
      if (out_.container() && out_.container()->kind == BlockKind::item) out_.close();
      out_.end_paragraph();
      open_group(name);
      groups_.back().breaks = true;
      lists_.push_back({.enumerated = name.find("enum") != string::npos});
      arguments(e.arguments);
      return;
    case Environment::floating:
      out_.end_paragraph();
      open_group(name);
      groups_.back().breaks = true;
      float_ = string(e.name);
      arguments(e.arguments);
      return;
    case Environment::table:
      open_group(name);
      arguments(e.arguments);
      out_.open({.kind = BlockKind::table});
      groups_.back().depth = out_.depth() - 1;
      groups_.back().is_table = true;
      ++tables_;
      return;
    case Environment::headed:
      out_.end_paragraph();
      open_group(name);
      groups_.back().breaks = true;
      if (!out_.muted()) out_.add({.kind = BlockKind::heading, .level = 1, .text = string(e.name)});
      return;
    case Environment::broken:
    case Environment::text:
      if (e.what == Environment::broken) out_.end_paragraph();
      open_group(name);
      groups_.back().breaks = e.what == Environment::broken;
      arguments(e.arguments);
      return;
  }
}

void Interpreter::display_environment(const string& name, const MathEnvironment& e) {
  string argument;
  if (name == "empheq" || name == "tikzcd") in_.optional_argument();
  if (name == "IEEEeqnarray" || name == "IEEEeqnarray*" || name == "array") in_.optional_argument();
  if (e.argument) argument = in_.argument();
  Formula f = formula(Stop::environment, name, &e);
  if (!e.wrap.empty() && !f.latex.empty()) {
    string open = "\\begin{" + string(e.wrap) + '}';
    if (e.wrap == "array") open += '{' + (e.argument ? argument : "rcl") + '}';
    if (e.wrap == "alignedat") open += '{' + argument + '}';
    f.latex = open + ' ' + f.latex + " \\end{" + string(e.wrap) + '}';
  }
  out_.display(std::move(f.latex), std::move(f.label), std::move(f.number));
}

void Interpreter::end() {
  string name = in_.argument();
  std::erase_if(name, [](char c) { return c == ' ' || c == '\n'; });
  if (name == "document") {
    finished_ = true;
    return;
  }
  const auto open =
      std::find_if(groups_.rbegin(), groups_.rend(), [&](const Group& g) { return g.environment == name; });
  if (open == groups_.rend()) return;
  while (groups_.back().environment != name) close_group();
  if (const Macros::Environment* own = macros_.environment(name);
      own &&
      (!text_environment(name) || text_environment(name)->what == Environment::text ||
       text_environment(name)->what == Environment::broken || text_environment(name)->what == Environment::headed ||
       text_environment(name)->what == Environment::table)) {
    // Its end is read before its group closes. The character ends up in no source: to_utf8 drops it.
    in_.push("\\\x03", false);
    in_.push(own->end, own->begin.at_letter);
    return;
  }
  end_environment();
}

void Interpreter::end_environment() {
  while (!groups_.empty() && groups_.back().environment.empty()) close_group();
  if (groups_.empty()) return;
  if (groups_.back().is_table && out_.depth() > groups_.back().depth) {
    out_.end_paragraph();
    out_.close_to(groups_.back().depth + 1);
    if (Block* table = out_.container()) table->text = tidy_rows(table->text);
  }
  close_group();
}

/// \halign{template \cr rows}: rows as those of a table.
void Interpreter::halign() {
  skip_box_size();
  if (in_.peek() != '{') return;
  const string inside = in_.argument();
  const std::size_t first = inside.find("\\cr");
  if (first == string::npos) {
    in_.push('{' + inside + '}', false);
    return;
  }
  ++tables_;
  string rows = render(inside.substr(first + 3));
  --tables_;
  out_.end_paragraph();
  rows = tidy_rows(rows);
  if (!rows.empty()) out_.add({.kind = BlockKind::table, .text = std::move(rows)});
}

}  // namespace eddy::extract::tex
