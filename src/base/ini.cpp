#include "base/ini.h"

#include <sstream>

#include "base/error.h"

namespace eddy {
namespace {

constexpr const char* kBlanks = " \t\r";

std::string trim(const std::string& s) {
  const auto from = s.find_first_not_of(kBlanks);
  return from == std::string::npos ? "" : s.substr(from, s.find_last_not_of(kBlanks) - from + 1);
}

/// Where the comment of a line begins: a # or ; at its start or after a blank, outside quotes; npos without one.
std::size_t comment_start(const std::string& s) {
  bool quoted = false;
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (quoted && s[i] == '\\') {
      ++i;
    } else if (s[i] == '"' && (quoted || trim(s.substr(0, i)).ends_with('='))) {
      quoted = !quoted;
    } else if (!quoted && (s[i] == '#' || s[i] == ';') && (i == 0 || s[i - 1] == ' ' || s[i - 1] == '\t')) {
      return i;
    }
  }
  return std::string::npos;
}

/// The text of a quoted value (with its quotes); false if the quotes do not close at its end.
bool unquote(const std::string& s, std::string& out) {
  for (std::size_t i = 1; i < s.size(); ++i) {
    if (s[i] == '"') return i + 1 == s.size();
    if (s[i] == '\\' && ++i < s.size()) {
      out += s[i] == 'n' ? '\n' : s[i];
    } else if (i < s.size()) {
      out += s[i];
    }
  }
  return false;
}

}  // namespace

std::vector<IniEntry> parse_ini(const std::string& text, const std::string& file) {
  std::vector<IniEntry> entries;
  std::istringstream in(text.starts_with("\xEF\xBB\xBF") ? text.substr(3) : text);  // editors on Windows write a BOM
  std::string line, prefix;
  for (int number = 1; std::getline(in, line); ++number) {
    const std::string s = trim(line.substr(0, comment_start(line)));
    if (s.empty()) continue;
    if (s.front() == '[') {
      const std::string section = s.back() == ']' ? trim(s.substr(1, s.size() - 2)) : "";
      if (section.empty()) fail_input("{}, line {}: '{}' is not a section; write [name]", file, number, s);
      prefix = section + ".";
      continue;
    }
    const auto equals = s.find('=');
    const std::string key = trim(s.substr(0, equals));
    if (equals == std::string::npos || key.empty())
      fail_input("{}, line {}: '{}' is neither [section] nor key = value", file, number, s);
    std::string value = trim(s.substr(equals + 1)), plain;
    if (value.starts_with('"')) {
      if (!unquote(value, plain))
        fail_input("{}, line {}: the quotes of {} do not close at its end", file, number, key);
      value = plain;
    }
    entries.push_back({prefix + key, value, number});
  }
  return entries;
}

std::string ini_value(const std::string& value) {
  const bool comment = (" " + value).find_first_of("#;") != std::string::npos;
  if (!comment && trim(value) == value && value.find('\n') == std::string::npos && !value.starts_with('"'))
    return value;
  std::string quoted = "\"";
  for (const char c : value) {
    if (c == '\n') {
      quoted += "\\n";
    } else {
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += c;
    }
  }
  return quoted + '"';
}

}  // namespace eddy
