// Commands with a meaning of their own: references, titles, and those of particular packages.
#include "extract/tex_interpreter.h"

namespace eddy::extract::tex {

using std::string;
using std::string_view;

namespace {

string trimmed(string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\n')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\n')) s.remove_suffix(1);
  return string(s);
}

template <class F>
void each_key(string_view keys, const F& f) {
  for (std::size_t i = 0; i <= keys.size();) {
    const std::size_t end = std::min(keys.find(',', i), keys.size());
    if (const string key = trimmed(keys.substr(i, end - i)); !key.empty()) f(key);
    i = end + 1;
  }
}

bool is_citation(string_view name) {
  return name.substr(0, 4) == "cite" || name.substr(0, 4) == "Cite" || name == "parencite" || name == "textcite" ||
         name == "autocite" || name == "footcite" || name == "onlinecite" || name == "shortcite" ||
         name == "fullcite" || name == "smartcite" || name == "supercite";
}

}  // namespace

/// A reference or citation as text, or "" when `name` is none.
string Interpreter::reference_text(string_view name) {
  if (is_citation(name)) {
    if (name == "citetext") return "";
    in_.star();
    const auto first = in_.optional_argument();
    const auto second = in_.optional_argument();
    string out = "[";
    if (second && first && !trimmed(*first).empty()) out += render(*first, false) + ' ';
    bool any = false;
    each_key(in_.argument(), [&](const string& key) {
      if (any) out += ", ";
      any = true;
      out += numbers_.citation(key);
    });
    const auto& note = second ? second : first;
    if (note && !trimmed(*note).empty()) out += ", " + render(*note, false);
    return out + ']';
  }
  const char how = name == "eqref"                                         ? 'e'
                   : name == "cref" || name == "Cref" || name == "autoref" ? 'c'
                   : name == "ref" || name == "vref" || name == "labelcref" || name == "subref" || name == "pageref" ||
                           name == "nameref"
                       ? 'r'
                       : ' ';
  if (how == ' ') return "";
  in_.star();
  string out;
  each_key(in_.argument(), [&](const string& key) {
    if (!out.empty()) out += ", ";
    out += Numbers::reference(how, key);
  });
  return out.empty() ? "??" : out;
}

bool Interpreter::reference(string_view name) {
  const string text = reference_text(name);
  if (text.empty()) return false;
  if (text[0] == '[' && out_.last() != '(' && out_.last() != '[') out_.space();
  out_.text(text);
  return true;
}

void Interpreter::algorithm_command(string_view name) {
  if (name == "Comment" || name == "COMMENT") {
    out_.text(" // ");
    return;
  }
  out_.line_break();
  string word(name);
  if (word[0] != 'E' || word.substr(0, 3) != "End")
    for (std::size_t i = 1; i < word.size(); ++i)
      if (word[i] >= 'A' && word[i] <= 'Z' && word[1] >= 'A' && word[1] <= 'Z')
        word[i] = static_cast<char>(word[i] + 32);
  if (word == "State" || word == "Statex" || word == "STATE") return;
  out_.text(word);
  out_.space();
  if (in_.peek() == '{') in_.push('{' + in_.argument() + "} ", in_.at_letter());
}

void Interpreter::special(string_view name) {
  if (name == "begin") return begin();
  if (name == "end") return end();
  if (name == "label") return label();
  if (name == "item" || name == "itemitem") return item();
  if (name == "(" || name == "[") {
    if (name == "(") return inline_formula(formula(Stop::paren));
    Formula f = formula(Stop::bracket);
    return out_.display(std::move(f.latex), std::move(f.label), std::move(f.number));
  }
  if (name == ")" || name == "]") return;
  if (latex_ && reference(name)) return;
  if (name == "footnote" || name == "footnotetext") return footnote();
  if (name == "thanks") {
    in_.argument();
    return;
  }
  if (name == "caption" || name == "captionof" || name == "subcaption") return caption(name == "captionof");
  if (name == "verb" || name == "lstinline" || name == "mintinline") return verb(name);
  if (name == "url" || name == "nolinkurl" || name == "path") {
    if (in_.peek() == '{')
      out_.text(trimmed(in_.argument()));
    else
      verb("verb");
    return;
  }
  if (name == "title") {
    in_.optional_argument();
    if (latex_ || in_.peek() == '{') {
      title_ = in_.argument();
    } else if (const auto text = in_.until("\\endtitle")) {
      title_ = string(*text);
    }
    return;
  }
  if (name == "abstract") {
    string raw;
    if (in_.peek() == '{') {
      raw = in_.argument();
    } else if (const auto text = in_.until("\\endabstract")) {
      raw = string(*text);
    } else {
      return out_.end_paragraph();
    }
    string text = render(raw);
    out_.end_paragraph();
    if (!out_.abstract.empty() && !text.empty()) out_.abstract += "\n\n";
    out_.abstract += text;
    return;
  }
  if (name == "input" || name == "include" || name == "subfile" || name == "subfileinclude" || name == "import" ||
      name == "subimport" || name == "includefrom")
    return input(name);
  if (name == "usepackage" || name == "RequirePackage") return packages();
  if (name == "documentclass" || name == "documentstyle") {
    in_.optional_argument();
    const string kind = in_.argument();
    if (kind.find("book") != string::npos || kind.find("report") != string::npos || kind == "memoir")
      numbers_.use_chapters();
    return;
  }
  if (name == "verbatiminput" || name == "lstinputlisting") return input_verbatim(name);
  if (name == "appendix") return numbers_.letters("section");
  if (name == "endinput") {
    in_.advance(in_.rest().size());
    return;
  }
  if (name == "bye") {
    finished_ = true;
    return;
  }
  if (name == "csname") return csname();
  if (name == "char") return character();
  if (name == "bgroup" || name == "begingroup") return open_group("");
  if (name == "egroup" || name == "endgroup") {
    if (!groups_.empty() && groups_.back().environment.empty()) close_group();
    return;
  }
  if (name == "xspace") {
    const int c = in_.peek();
    if (is_letter(static_cast<char>(c)) || (c >= '0' && c <= '9') || c == '(') out_.space();
    return;
  }
  if (name == "ensuremath") {
    return inline_formula({.latex = text_in_math(in_.argument())});
  }
  if (name == "acknowledgments" || name == "acknowledgements" || name == "acknowledgment" ||
      name == "acknowledgement" || name == "ack") {
    out_.end_paragraph();
    if (!out_.muted()) out_.add({.kind = BlockKind::heading, .level = 1, .text = "Acknowledgements"});
    return;
  }
  if (name == "halign") return halign();
  if (name == "cr" || name == "crcr" || name == "tabularnewline") return out_.line_break();
  plain_command(name);
}

void Interpreter::plain_command(string_view name) {
  if (name == "@ifnextchar") {
    const string next = in_.argument(), yes = in_.argument(), no = in_.argument();
    in_.skip_space();
    const bool is = !next.empty() && in_.peek() == static_cast<unsigned char>(next[0]);
    in_.push(is ? yes : no, true);
  } else if (name == "@ifstar") {
    const string yes = in_.argument(), no = in_.argument();
    in_.push(in_.star() ? yes : no, true);
  } else if (name == "SI" || name == "qty" || name == "num" || name == "ang" || name == "si" || name == "unit") {
    in_.optional_argument();
    out_.text(trimmed(in_.argument()));
    if (name == "SI" || name == "qty") {
      string unit = in_.argument();
      std::erase(unit, '\\');
      out_.text(' ' + unit);
    }
  } else if (name == "beginsection") {
    const auto text = in_.until("\n\n");
    string heading_text = text ? render(string(*text), false) : "";
    out_.end_paragraph();
    if (!heading_text.empty()) out_.add({.kind = BlockKind::heading, .level = 1, .text = std::move(heading_text)});
  } else if (name == "proclaim" || name == "demo") {
    const bool proof = name == "demo";
    string head;
    if (in_.peek() == '{')
      head = render(in_.argument(), false);
    else if (const auto text = in_.until(". "))
      head = render(string(*text), false);
    const std::size_t blank = std::min(head.find(' '), head.size());
    string kind = head.substr(0, blank);
    for (char& c : kind) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    out_.end_paragraph();
    const bool closed = in_.holds(proof ? "\\enddemo" : "\\endproclaim");
    const string_view end = closed ? (proof ? "\\enddemo" : "\\endproclaim") : "\n\n";
    if (const auto text = in_.until(end)) {
      string body = render(string(*text));
      out_.add({.kind = proof ? BlockKind::proof : BlockKind::theorem,
                .name = proof ? "" : kind,
                .number = proof || blank >= head.size() ? "" : head.substr(blank + 1),
                .text = std::move(body)});
    }
  } else if (name == "endproclaim" || name == "enddemo") {
    out_.end_paragraph();
  } else if (name == "AtBeginDocument" || name == "AtEndDocument") {
    in_.push(in_.argument(), true);
  } else if (name == "IfFileExists") {  // as on arXiv, where packages are
    in_.argument();
    const string yes = in_.argument();
    in_.argument();
    in_.push(yes, in_.at_letter());
  } else if (name == "operatorname") {
    in_.star();
  } else if (name[0] < 'a' || name == "item") {
    algorithm_command(name);
  }
}

}  // namespace eddy::extract::tex
