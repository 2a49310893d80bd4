// Characters and groups of text.
#include <array>

#include "extract/tex_interpreter.h"

namespace eddy::extract::tex {

using std::string;
using std::string_view;

namespace {

constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> t{};
  for (std::size_t i = 0; i < 256; ++i) t[i] = i > ' ';
  for (const char c : {'\\', '{', '}', '$', '%', '&', '~', '#', '`', '\'', '-', '\x7f'})
    t[static_cast<unsigned char>(c)] = false;
  return t;
}();
bool is_plain(char c) {
  return kPlain[static_cast<unsigned char>(c)];
}

}  // namespace

void Interpreter::run(string source, bool preamble) {
  preamble_ = preamble;
  latex_ = preamble;
  finished_ = false;
  bibliography_ = false;
  out_.mute(preamble);
  in_.push_file(std::move(source), "", false);
  read();
  while (!groups_.empty()) close_group();
  in_.leave(0);
  out_.close_to(0);
  out_.end_paragraph();
}

/// As many characters as stand for themselves; single blanks, hyphens and apostrophes between them too.
void Interpreter::plain_run() {
  const string_view s = in_.rest();
  std::size_t i = 1;
  for (; i < s.size(); ++i) {
    const char c = s[i];
    if (is_plain(c)) continue;
    const bool more = i + 1 < s.size();
    if (c == ' ' && more && is_plain(s[i + 1])) continue;
    if ((c == '-' || c == '\'') && more && is_plain(s[i + 1])) continue;
    break;
  }
  out_.text(s.substr(0, i));
  in_.advance(i);
}

void Interpreter::quote(int c) {
  in_.get();
  if (in_.peek() == c) {
    in_.get();
    out_.text("\"");
  } else {
    out_.text("'");
  }
}

void Interpreter::dashes() {
  int n = 0;
  while (n < 3 && in_.peek() == '-') {
    in_.get();
    ++n;
  }
  out_.text(n == 1 ? "-" : n == 2 ? "\u2013" : "\u2014");
}

void Interpreter::mathematics_shift() {
  in_.get();
  if (in_.peek() == '$') {
    in_.get();
    Formula f = formula(Stop::double_dollar);
    out_.display(std::move(f.latex), std::move(f.label), std::move(f.number));
    return;
  }
  inline_formula(formula(Stop::dollar));
}

void Interpreter::inline_formula(const Formula& f) {
  if (f.latex.empty()) return;
  if (out_.last() == '$') out_.space();  // "$$" would be a display
  out_.text('$' + f.latex + '$');
}

void Interpreter::open_group(string environment) {
  if (groups_.size() >= 2000) close_group();  // none of them will ever be closed
  groups_.push_back({.environment = std::move(environment),
                     .undo = macros_.group_mark(),
                     .depth = out_.depth(),
                     .lists = lists_.size(),
                     .outer_float = float_});
}

void Interpreter::close_group() {
  const Group g = std::move(groups_.back());
  groups_.pop_back();
  if (!g.environment.empty()) {
    if (g.breaks) out_.end_paragraph();
    out_.close_to(g.depth);
    if (lists_.size() > g.lists) lists_.resize(g.lists);
    if (g.is_table) --tables_;
    float_ = g.outer_float;
  }
  macros_.end_group(g.undo);
}

string Interpreter::render(string_view raw, bool notes) {
  if (renders_ >= 24) return string(raw);
  ++renders_;
  Builder outer;
  std::swap(outer, out_);
  std::vector<Group> groups;
  groups.swap(groups_);
  std::vector<List> lists;
  lists.swap(lists_);
  const int tables = tables_;
  tables_ = 0;
  const std::size_t undo = macros_.group_mark();
  const std::size_t mark = in_.enter();
  if (in_.push(raw, false)) {
    read();
  } else {
    out_.text(raw);
  }
  while (!groups_.empty()) close_group();
  in_.leave(mark);
  macros_.end_group(undo);
  tables_ = tables;
  groups.swap(groups_);
  lists.swap(lists_);
  std::swap(outer, out_);
  if (!notes) outer.drop_notes();
  --renders_;
  return outer.take_text();
}

void Interpreter::read() {
  while (!finished_) {
    const int c = in_.peek();
    if (c == Reader::kEnd) return;
    if (is_plain(static_cast<char>(c))) {
      plain_run();
      continue;
    }
    switch (c) {
      case '\\':
        in_.get();
        control_sequence();
        break;
      case '\n':
        if (in_.line_end()) {
          if (!tables_) out_.end_paragraph();
        } else {
          out_.space();
        }
        break;
      case '{':
        in_.get();
        open_group("");
        break;
      case '}':
        in_.get();
        if (!groups_.empty() && groups_.back().environment.empty()) close_group();
        break;
      case '$':
        mathematics_shift();
        break;
      case '%':
        in_.skip_comment();
        break;
      case '`':
      case '\'':
        quote(c);
        break;
      case '-':
        dashes();
        break;
      case '&':
        in_.get();
        out_.space();
        out_.text(tables_ ? "|" : "&");
        out_.space();
        break;
      case '~':
        in_.get();
        out_.space();
        break;
      case '#':
        in_.get();
        break;
      default:  // blanks and control characters
        in_.get();
        out_.space();
    }
  }
}

}  // namespace eddy::extract::tex
