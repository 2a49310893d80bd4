// \newcommand, \def, \let, \newtheorem and the like.
#include <array>

#include "extract/tex_interpreter.h"

namespace eddy::extract::tex {

using std::string;
using std::string_view;

namespace {

string trimmed(string s) {
  s.erase(0, std::min(s.find_first_not_of(" \n\t"), s.size()));
  while (!s.empty() && (s.back() == ' ' || s.back() == '\n' || s.back() == '\t')) s.pop_back();
  return s;
}

int small_number(const std::optional<string>& s) {
  if (!s) return 0;
  const string t = trimmed(*s);
  return t.size() == 1 && t[0] >= '0' && t[0] <= '9' ? t[0] - '0' : 0;
}

/// It is printed with every theorem and every reference to one.
void cut_name(string& printed) {
  constexpr std::size_t kLongestName = 200;
  if (printed.size() > kLongestName) printed = "Theorem";
}

}  // namespace

/// The name in {\x} or \x; empty when none comes.
string Interpreter::defined_name() {
  string name = trimmed(in_.argument());
  if (name.empty() || name[0] != '\\') return "";
  return name.substr(1);
}

/// Of packages, only what plainly stands for something.
bool Interpreter::definable(const string& name, const string& body) const {
  if (name.empty()) return false;
  if (!style_) return true;
  constexpr std::array<string_view, 8> inner{"\\if",         "@",           "\\csname", "\\expandafter",
                                             "\\begingroup", "\\futurelet", "\\write",  "\\fi"};
  if (command(name) || name.find('@') != string::npos || body.size() > kLargeBody) return false;
  for (const string_view part : inner)
    if (body.find(part) != string::npos) return false;
  return true;
}

void Interpreter::define(const string& name, Macro macro, bool global) {
  if (definable(name, macro.body)) macros_.define(name, std::move(macro), global);
}

void Interpreter::definition(string_view name) {
  if (name == "makeatletter" || name == "makeatother") return in_.set_at_letter(name == "makeatletter");
  if (name == "def" || name == "gdef" || name == "edef" || name == "xdef") return def(name);
  if (name == "let" || name == "futurelet") return let();
  if (name == "newenvironment" || name == "renewenvironment") return new_environment(false);
  if (name == "NewDocumentEnvironment") return new_environment(true);
  if (name == "newtheorem" || name == "spnewtheorem" || name == "newdefinition" || name == "newproof")
    return new_theorem(name);
  if (name == "declaretheorem") return declare_theorem();
  if (name == "DeclareMathOperator") return math_operator();
  if (name == "DeclarePairedDelimiter") return paired_delimiter();
  if (name == "newif") return new_if();
  if (name == "font") return font();
  if (name == "catcode") return catcode();
  if (name == "numberwithin") {
    const string counter = in_.argument(), within = in_.argument();
    return numbers_.define(counter, within);
  }
  if (name == "chardef" || name == "mathchardef" || name == "countdef" || name == "dimendef") {
    const string what = defined_name();
    assignment();
    return define(what, {});
  }
  if (name.substr(0, 3) == "new" && name != "newcommand" && name != "newcommandx")  // registers are assigned to
    return define(defined_name(), {.alias = "hsize"});
  new_command(name);
}

void Interpreter::new_command(string_view how) {
  in_.star();
  const string name = defined_name();
  Macro macro;
  macro.at_letter = in_.at_letter();
  if (how.find("Document") != string_view::npos) {
    macro.parameters = parameters_of_specification(in_.argument());
  } else {
    const auto count = in_.optional_argument();
    const auto fallback = in_.optional_argument();
    macro.parameters = parameters_of(small_number(count), fallback);
  }
  macro.body = in_.argument();
  if ((how == "providecommand" || how == "ProvideDocumentCommand") && (macros_.find(name) || command(name))) return;
  define(name, std::move(macro));
}

void Interpreter::def(string_view how) {
  in_.skip_space();
  string name;
  if (in_.peek() == '\\') {
    in_.get();
    name = in_.control_name();
  } else if (in_.peek() != Reader::kEnd) {
    in_.get();  // an active character
  }
  const auto parameters = in_.until("{");
  if (!parameters) return;
  string text(*parameters);
  Macro macro;
  macro.at_letter = in_.at_letter();
  if (text.find('%') != string::npos) text = without_comments(text);
  macro.parameters = parameters_of_text(text, macro.before);
  macro.body = in_.group();
  define(name, std::move(macro), how[0] == 'g' || how[0] == 'x');
}

void Interpreter::let() {
  const string name = defined_name();
  in_.skip_space();
  if (in_.peek() == '=') {
    in_.get();
    in_.skip_space();
  }
  if (in_.peek() != '\\') {
    in_.argument();
    return;
  }
  in_.get();
  const string other = in_.control_name();
  if (name.empty() || other.empty() || name == other) return;
  if (const Macro* macro = macros_.find(other)) {
    if (definable(name, macro->body)) macros_.alias(name, other);
  } else {
    define(name, {.alias = other});
  }
}

void Interpreter::new_environment(bool specified) {
  in_.star();
  const string name = trimmed(in_.argument());
  Macros::Environment e;
  e.begin.at_letter = in_.at_letter();
  if (specified) {
    e.begin.parameters = parameters_of_specification(in_.argument());
  } else {
    const auto count = in_.optional_argument();
    const auto fallback = in_.optional_argument();
    e.begin.parameters = parameters_of(small_number(count), fallback);
  }
  e.begin.body = in_.argument();
  e.end = in_.argument();
  if (!style_ && !math_environment(name)) macros_.define_environment(name, std::move(e));
}

/// \newtheorem{name}[shared]{Printed}[within]
void Interpreter::new_theorem(string_view how) {
  const bool star = in_.star();
  const string name = trimmed(in_.argument());
  const auto shared = in_.optional_argument();
  string printed = render(in_.argument(), false);
  const auto within = in_.optional_argument();
  if (how == "spnewtheorem") {
    in_.argument();
    in_.argument();
  }
  if (name.empty()) return;
  if (printed.empty()) printed = name;
  cut_name(printed);
  if (shared) numbers_.share(name, trimmed(*shared));
  if (within) numbers_.define(name, trimmed(*within));
  theorems_[name] = {std::move(printed), !star};
}

/// thmtools: \declaretheorem[name=Printed, numberwithin=section, sibling=theorem]{a,b}
void Interpreter::declare_theorem() {
  const auto options = in_.optional_argument();
  const string name = trimmed(in_.argument());
  if (name.empty()) return;
  const auto value = [&](string_view key) -> string {
    if (!options) return "";
    for (std::size_t at = options->find(key); at != string::npos; at = options->find(key, at + 1)) {
      const char before = at == 0 ? ',' : (*options)[at - 1];
      std::size_t i = at + key.size();
      while (i < options->size() && (*options)[i] == ' ') ++i;
      if ((before != ',' && before != ' ' && before != '\n') || i >= options->size() || (*options)[i] != '=') continue;
      string v = trimmed(options->substr(i + 1, options->find(',', i) - i - 1));
      if (v.size() > 1 && v[0] == '{' && v.back() == '}') v = v.substr(1, v.size() - 2);
      return v;
    }
    return "";
  };
  string printed = value("name");
  if (printed.empty()) printed = value("title");
  if (printed.empty()) {
    printed = name;
    if (printed[0] >= 'a' && printed[0] <= 'z') printed[0] = static_cast<char>(printed[0] - 32);
  }
  cut_name(printed);
  for (const char* key : {"sibling", "numberlike", "sharenumber"})
    if (const string other = value(key); !other.empty()) numbers_.share(name, other);
  for (const char* key : {"numberwithin", "within", "parent"})
    if (const string other = value(key); !other.empty()) numbers_.define(name, other);
  theorems_[name] = {std::move(printed), value("numbered") != "no"};
}

void Interpreter::math_operator() {
  const bool star = in_.star();
  const string name = defined_name();
  const string text = in_.argument();
  define(name, {.body = string("\\operatorname") + (star ? "*" : "") + '{' + text + '}'});
}

/// mathtools: \DeclarePairedDelimiter\abs{\lvert}{\rvert}; \abs*{x} grows the delimiters, \abs[\big]{x} names the size.
void Interpreter::paired_delimiter() {
  const string name = defined_name();
  const string left = in_.argument(), right = in_.argument();
  Macro macro;
  macro.parameters = {{Parameter::Kind::star}, {Parameter::Kind::optional}, {}};
  macro.body = left + " #3 " + right;
  define(name, std::move(macro));
}

void Interpreter::new_if() {
  const string name = defined_name();
  if (name.substr(0, 2) != "if" || name.size() == 2) return;
  const bool at = in_.at_letter();
  const string flag = name.substr(2);
  macros_.define(name, {.alias = "iffalse"});
  macros_.define(flag + "true", {.body = "\\let\\" + name + "\\iftrue ", .at_letter = at});
  macros_.define(flag + "false", {.body = "\\let\\" + name + "\\iffalse ", .at_letter = at});
}

/// \font\name=cmr10 scaled\magstep1
void Interpreter::font() {
  const string name = defined_name();
  in_.skip_space();
  if (in_.peek() == '=') in_.get();
  in_.skip_space();
  while (in_.peek() != Reader::kEnd && in_.peek() > ' ' && in_.peek() != '\\' && in_.peek() != '}') in_.get();
  const string_view s = in_.rest();
  const std::size_t at = std::min(s.find_first_not_of(' '), s.size());
  for (const string_view word : {"scaled", "at"})
    if (s.substr(at, word.size()) == word && at + word.size() < s.size() && !is_letter(s[at + word.size()])) {
      in_.advance(at + word.size());
      in_.skip_space();
      if (in_.peek() == '\\') {
        in_.get();
        in_.control_name();
        while (in_.peek() >= '0' && in_.peek() <= '9') in_.get();  // \magstep1
      } else {
        assignment();
      }
      break;
    }
  define(name, {});
}

/// \catcode`\@=11
void Interpreter::catcode() {
  in_.skip_space();
  if (in_.peek() != '`') return assignment();
  in_.get();
  if (in_.peek() == '\\') in_.get();
  const int character = in_.get();
  in_.skip_space();
  if (in_.peek() == '=') in_.get();
  in_.skip_space();
  string value;
  while (in_.peek() >= '0' && in_.peek() <= '9' && value.size() < 3) value += static_cast<char>(in_.get());
  if (value.empty() && in_.peek() == '\\') {
    in_.get();
    in_.control_name();
  }
  if (character == '@') in_.set_at_letter(value == "11");
}

}  // namespace eddy::extract::tex
