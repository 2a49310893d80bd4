#pragma once
// Reading JSON of services that leave out fields, or give null for them.
#include <nlohmann/json.hpp>
#include <string>

namespace eddy::crawl {

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
