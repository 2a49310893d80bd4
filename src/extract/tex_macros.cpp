#include "extract/tex_macros.h"

#include <algorithm>

namespace eddy::extract::tex {

using std::string;
using std::string_view;

const Macro* Macros::find(string_view name) const {
  const auto found = macros_.find(name);
  return found == macros_.end() ? nullptr : found->second.get();
}

void Macros::define(const string& name, std::shared_ptr<const Macro> macro, bool global) {
  std::shared_ptr<const Macro>& now = macros_[name];
  if (!global) undo_.push_back({name, std::move(now)});
  now = std::move(macro);
}

void Macros::define(const string& name, Macro macro, bool global) {
  define(name, std::make_shared<const Macro>(std::move(macro)), global);
}

void Macros::alias(const string& name, string_view other) {
  if (const auto found = macros_.find(other); found != macros_.end())
    define(name, std::shared_ptr(found->second), false);
}

const Macros::Environment* Macros::environment(string_view name) const {
  const auto found = environments_.find(name);
  return found == environments_.end() ? nullptr : &found->second;
}

void Macros::define_environment(const string& name, Environment e) {
  environments_[name] = std::move(e);
}

void Macros::end_group(std::size_t mark) {
  for (; undo_.size() > mark; undo_.pop_back()) {
    Undo& last = undo_.back();
    if (last.before)
      macros_[last.name] = std::move(last.before);
    else
      macros_.erase(last.name);
  }
}

namespace {

constexpr std::size_t kLongestWord = 256;  // of control words; bodies are joined to from as many pieces as they like

/// True when `s` ends in a control word, which a letter behind it would lengthen.
bool ends_in_word(string_view s) {
  std::size_t i = s.size();
  while (i > 0 && s.size() - i < kLongestWord && (is_letter(s[i - 1]) || s[i - 1] == '@')) --i;
  if (i == s.size() || i == 0 || s[i - 1] != '\\') return false;
  std::size_t slashes = 0;
  while (slashes < i && s[i - 1 - slashes] == '\\') ++slashes;
  return slashes % 2 == 1;
}

void join(string& out, string_view more) {
  if (!more.empty() && is_letter(more[0]) && ends_in_word(out)) out.push_back(' ');
  out.append(more);
}

/// Nothing when it is more than `in` takes.
string substitute(string_view body, const std::vector<string>& arguments, const Reader& in) {
  string out;
  for (std::size_t i = 0; i < body.size();) {
    if (!in.takes(out.size())) return "";
    const std::size_t at = std::min(body.find('#', i), body.size());
    join(out, body.substr(i, at - i));
    if (at + 1 >= body.size()) break;
    const char c = body[at + 1];
    if (c >= '1' && c <= '9') {
      const auto n = static_cast<std::size_t>(c - '1');
      if (n < arguments.size()) join(out, arguments[n]);
    } else if (c == '#') {
      out.push_back('#');
    }
    i = at + 2;
  }
  return out;
}

}  // namespace

std::optional<std::vector<string>> arguments_of(const Macro& macro, Reader& in, string& passed) {
  if (!macro.before.empty()) {
    in.peek();
    if (in.rest().substr(0, macro.before.size()) != macro.before) return std::nullopt;
    in.advance(macro.before.size());
    passed += macro.before;
  }
  std::vector<string> arguments;
  for (const Parameter& p : macro.parameters) {
    switch (p.kind) {
      case Parameter::Kind::mandatory:
        arguments.push_back(in.argument());
        break;
      case Parameter::Kind::optional: {
        auto given = in.optional_argument();
        arguments.push_back(given ? std::move(*given) : in.take_bytes(p.text.size()) ? p.text : "");
        break;
      }
      case Parameter::Kind::star:
        arguments.push_back(in.star() ? "*" : "");
        break;
      case Parameter::Kind::delimited: {
        auto text = in.delimited(p.text);
        if (!text) {
          for (const string& a : arguments) passed += a;
          return std::nullopt;
        }
        arguments.push_back(std::move(*text));
        break;
      }
    }
  }
  return arguments;
}

std::optional<string> expansion(const Macro& macro, Reader& in, string& passed) {
  const auto arguments = arguments_of(macro, in, passed);
  if (!arguments) return std::nullopt;
  if (!in.takes(macro.body.size())) return "";
  if (arguments->empty() && macro.body.find("##") == string::npos) return macro.body;
  return substitute(macro.body, *arguments, in);
}

std::vector<Parameter> parameters_of(int count, const std::optional<string>& fallback) {
  std::vector<Parameter> result(static_cast<std::size_t>(std::clamp(count, 0, 9)));
  if (fallback && !result.empty()) result[0] = {Parameter::Kind::optional, *fallback};
  return result;
}

std::vector<Parameter> parameters_of_specification(string_view s) {
  std::vector<Parameter> result;
  for (std::size_t i = 0; i < s.size() && result.size() < 9; ++i) {
    const auto braced = [&]() -> string {
      const std::size_t open = s.find('{', i), close = s.find('}', i);
      if (open == string_view::npos || close == string_view::npos || close < open) return "";
      i = close;
      return string(s.substr(open + 1, close - open - 1));
    };
    switch (s[i]) {
      case 'm':
      case 'v':
        result.push_back({});
        break;
      case 's':
        result.push_back({Parameter::Kind::star});
        break;
      case 'o':
        result.push_back({Parameter::Kind::optional});
        break;
      case 'O':
        result.push_back({Parameter::Kind::optional, braced()});
        break;
      default:
        break;
    }
  }
  return result;
}

std::vector<Parameter> parameters_of_text(string_view s, string& before) {
  std::vector<Parameter> result;
  std::size_t i = std::min(s.find('#'), s.size());
  before = string(s.substr(0, i));
  while (i + 1 < s.size() && result.size() < 9) {
    const std::size_t next = std::min(s.find('#', i + 1), s.size());
    const string_view text = s.substr(i + 2, next > i + 2 ? next - i - 2 : 0);
    result.push_back(text.empty() ? Parameter{} : Parameter{Parameter::Kind::delimited, string(text)});
    i = next;
  }
  return result;
}

}  // namespace eddy::extract::tex
