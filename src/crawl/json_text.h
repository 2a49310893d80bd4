#pragma once
// Reading JSON of services that leave out fields, or give null for them.
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace eddy::crawl {

/// An answer as JSON; a discarded value for what is none. One nested deeper than any honest answer is none either: code
/// that walks it recursively would run out of stack. (The library's parser tells the depth to a callback, with which
/// its time grows with the square of an object's entries.)
inline nlohmann::json parse_answer(std::string_view body) {
  constexpr int kDeepest = 64;
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < body.size(); ++i) {
    const char c = body[i];
    if (c == '"')
      in_string = !in_string;
    else if (in_string)
      i += c == '\\';
    else if (c == '[' || c == '{')
      ++depth;
    else if (c == ']' || c == '}')
      --depth;
    if (depth > kDeepest) return nlohmann::json(nlohmann::json::value_t::discarded);
  }
  return nlohmann::json::parse(body, nullptr, false);
}

/// j[name], or null where j is no object or lacks it.
inline const nlohmann::json& field(const nlohmann::json& j, const char* name) {
  static const nlohmann::json kNull;
  if (!j.is_object()) return kNull;
  const auto at = j.find(name);
  return at == j.end() ? kNull : *at;
}
/// The string there, or "".
inline std::string text_of(const nlohmann::json& j, const char* name) {
  const auto& value = field(j, name);
  return value.is_string() ? value.get<std::string>() : "";
}
/// The integer there, or 0.
inline int int_of(const nlohmann::json& j, const char* name) {
  const auto& value = field(j, name);
  return value.is_number() && std::abs(value.get<double>()) < 1e9 ? static_cast<int>(value.get<double>()) : 0;
}
/// The elements of the array there; none for anything else.
inline const nlohmann::json& array_of(const nlohmann::json& j, const char* name) {
  static const nlohmann::json kEmpty = nlohmann::json::array();
  const auto& value = field(j, name);
  return value.is_array() ? value : kEmpty;
}

}  // namespace eddy::crawl
