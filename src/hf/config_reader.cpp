#include "hf/config_reader.h"

#include <cmath>

#include "base/error.h"

namespace eddy::hf {

ConfigReader::ConfigReader(const nlohmann::ordered_json& json, std::string where)
    : json_(&json), where_(std::move(where)) {
  if (!json.is_object()) fail_input("{}: must be a JSON object", where_);
}

void ConfigReader::fail(const std::string& key, const std::string& what) const {
  fail_input("{}: {} {}", where_, key, what);
}

const nlohmann::ordered_json* ConfigReader::find(const std::string& key, bool required) const {
  const auto it = json_->find(key);
  if (it != json_->end() && !it->is_null()) return &*it;
  if (required) fail(key, "is missing");
  return nullptr;
}

bool ConfigReader::has(const std::string& key) const {
  return find(key, false) != nullptr;
}

void ConfigReader::present(const std::string& key, const std::string& hint) const {
  if (!json_->contains(key)) fail(key, "is missing; " + hint);
}

int ConfigReader::integer(const std::string& key, std::int64_t min, std::int64_t max,
                          std::optional<int> otherwise) const {
  const auto* value = find(key, !otherwise);
  if (!value) return *otherwise;
  const bool fits =
      value->is_number_integer() && !(value->is_number_unsigned() && value->get<std::uint64_t>() > INT32_MAX);
  const std::int64_t v = fits ? value->get<std::int64_t>() : 0;
  if (!fits || v < min || v > max)
    fail(key, fmt::format("is {}; a whole number from {} to {} is needed", value->dump(), min, max));
  return static_cast<int>(v);
}

double ConfigReader::number(const std::string& key, std::optional<double> otherwise) const {
  const auto* value = find(key, !otherwise);
  if (!value) return *otherwise;
  if (!value->is_number() || !std::isfinite(value->get<double>()))
    fail(key, fmt::format("is {}; a number is needed", value->dump()));
  return value->get<double>();
}

bool ConfigReader::boolean(const std::string& key, std::optional<bool> otherwise) const {
  const auto* value = find(key, !otherwise);
  if (!value) return *otherwise;
  if (!value->is_boolean()) fail(key, fmt::format("is {}; true or false is needed", value->dump()));
  return value->get<bool>();
}

std::string ConfigReader::text(const std::string& key, const std::string& otherwise) const {
  const auto* value = find(key, false);
  if (!value) return otherwise;
  if (!value->is_string()) fail(key, fmt::format("is {}; a string is needed", value->dump()));
  return value->get<std::string>();
}

int ConfigReader::token(const std::string& key, int otherwise) const {
  const auto* value = find(key, false);
  if (value && value->is_array() && !value->empty() && value->front().is_number_integer()) {
    const nlohmann::ordered_json first = {{key, value->front()}};
    return ConfigReader(first, where_).token(key, otherwise);
  }
  return integer(key, 0, INT32_MAX, otherwise);
}

}  // namespace eddy::hf
