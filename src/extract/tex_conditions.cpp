// \if… \else \fi: what can be decided is; of the rest the first branch is taken.
#include "extract/tex_interpreter.h"

namespace eddy::extract::tex {

using std::string;
using std::string_view;

bool Interpreter::is_condition(string_view name) const {
  if (const Macro* macro = macros_.find(name)) return macro->alias == "iftrue" || macro->alias == "iffalse";
  const Command* c = command(name);
  return c && c->what == Do::condition && name.substr(0, 2) == "if";
}

/// Past the matching \fi, or (`to_else`) past an \else or \or before it. Without an \fi nothing is passed.
void Interpreter::skip_branch(bool to_else) {
  in_.peek();
  if (in_.in_file() && !in_.holds("\\fi")) return;
  for (int depth = 0;;) {
    const string_view s = in_.rest();
    const std::size_t next = s.find_first_of("\\%");
    in_.advance(next == string_view::npos ? s.size() : next);
    const int c = in_.peek();
    if (c == Reader::kEnd) return;
    if (c == '%') {
      in_.skip_comment();
      continue;
    }
    if (c != '\\') continue;
    in_.get();
    const string name = in_.control_name();
    if (name == "fi") {
      if (depth-- == 0) return;
    } else if ((name == "else" || name == "or") && depth == 0 && to_else) {
      return;
    } else if (is_condition(name)) {
      ++depth;
    }
  }
}

/// The next token's text, expanded by nothing.
string Interpreter::token() {
  in_.skip_space();
  const int c = in_.get();
  if (c == Reader::kEnd) return "";
  if (c == '\\') return '\\' + in_.control_name();
  return string(1, static_cast<char>(c));
}

/// A number as TeX reads it; 0 for what only TeX can know.
long Interpreter::number() {
  in_.skip_space();
  long sign = 1, value = 0;
  while (in_.peek() == '-' || in_.peek() == '+')
    if (in_.get() == '-') sign = -sign;
  if (in_.peek() == '`') {
    in_.get();
    if (in_.peek() == '\\') in_.get();
    return in_.get();
  }
  if (in_.peek() == '\\') {
    token();
    if (in_.peek() >= '0' && in_.peek() <= '9') number();  // \count1, \wd0
    return 0;
  }
  for (int n = 0; n < 12 && in_.peek() >= '0' && in_.peek() <= '9'; ++n) value = value * 10 + (in_.get() - '0');
  const string_view s = in_.rest();
  if (s.size() > 1 && (s[0] == '.' || (s.substr(0, 2) == "pt" || s.substr(0, 2) == "cm" || s.substr(0, 2) == "in" ||
                                       s.substr(0, 2) == "em" || s.substr(0, 2) == "mm" || s.substr(0, 2) == "sp"))) {
    while (in_.peek() == '.' || (in_.peek() >= '0' && in_.peek() <= '9')) in_.get();
    if (in_.rest().size() > 1 && is_letter(in_.rest()[0])) in_.advance(2);
  }
  if (in_.peek() == ' ') in_.get();
  return sign * value;
}

bool Interpreter::evaluate(string_view name) {
  if (name == "iftrue" || name == "ifhmode" || name == "ifpdf" || name == "ifPDFTeX") return true;
  if (name == "iffalse" || name == "ifvmode" || name == "ifinner" || name == "ifxetex" || name == "ifluatex" ||
      name == "ifXeTeX" || name == "ifLuaTeX")
    return false;
  if (name == "ifmmode") return mathematics_ > 0;
  if (name == "ifx") {
    const string a = token(), b = token();
    if (a == b) return true;
    if (a.size() < 2 || b.size() < 2 || a[0] != '\\' || b[0] != '\\') return false;
    const string_view an = string_view(a).substr(1), bn = string_view(b).substr(1);
    const Macro* am = macros_.find(an);
    const Macro* bm = macros_.find(bn);
    if (!am && !bm) return !command(an) && !command(bn);  // both undefined
    if (am == bm) return true;
    return am && bm && am->body.size() <= kLargeBody && am->body == bm->body && am->alias == bm->alias &&
           am->parameters.size() == bm->parameters.size();
  }
  if (name == "if" || name == "ifcat") {
    const string a = token(), b = token();
    return a == b;
  }
  if (name == "ifdefined") {
    const string a = token();
    return a.size() > 1 && (macros_.find(string_view(a).substr(1)) || command(string_view(a).substr(1)));
  }
  if (name == "ifcsname") {
    const auto inside = in_.until("\\endcsname");
    return inside && (macros_.find(*inside) || command(*inside));
  }
  if (name == "ifnum" || name == "ifdim") {
    const long a = number();
    const string relation = token();
    const long b = number();
    return relation == "<" ? a < b : relation == ">" ? a > b : a == b;
  }
  if (name == "ifodd") return number() % 2 != 0;
  if (name == "ifcase") return number() == 0;
  if (name == "ifvoid" || name == "ifhbox" || name == "ifvbox" || name == "ifeof") {
    number();
    return false;
  }
  return true;
}

void Interpreter::condition(string_view name) {
  if (name == "fi" || name == "unless") return;
  if (name == "else" || name == "or") return skip_branch(false);
  if (!evaluate(name)) skip_branch(true);
}

}  // namespace eddy::extract::tex
