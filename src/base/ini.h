#pragma once
// INI files: [section] lines, `key = value` lines, comments after # or ; (at a line's start or after a blank).
// Read here rather than by Boost, which names no line, cuts a value at every '#', and keeps neither blanks nor ';'.
#include <string>
#include <vector>

namespace eddy {

struct IniEntry {
  std::string key;    ///< "section.key", or "key" before the first section
  std::string value;  ///< without the blanks around it; quotes resolved
  int line;           ///< from 1
};
/// The entries of an INI file's text in their order. A value may stand in double quotes, with \" \\ \n inside.
/// Throws Error (status 2) naming `file` and the line where a line is none of the above.
std::vector<IniEntry> parse_ini(const std::string& text, const std::string& file);
/// `value` as parse_ini reads it back: in quotes where it has to be.
std::string ini_value(const std::string& value);

}  // namespace eddy
