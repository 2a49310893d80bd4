#pragma once
// One object of a config.json, value by value; every complaint names file, key and what is allowed.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace eddy::hf {

class ConfigReader {
 public:
  /// `where` is the file (and the object in it) for messages; `json` must outlive the reader.
  ConfigReader(const nlohmann::ordered_json& json, std::string where);

  bool has(const std::string& key) const;                               ///< there, and not null
  void present(const std::string& key, const std::string& hint) const;  ///< there, be it null: readers' defaults differ
  // Without a default the key must be there; null counts as missing.
  int integer(const std::string& key, std::int64_t min, std::int64_t max, std::optional<int> otherwise = {}) const;
  double number(const std::string& key, std::optional<double> otherwise = {}) const;
  bool boolean(const std::string& key, std::optional<bool> otherwise = {}) const;
  std::string text(const std::string& key, const std::string& otherwise) const;
  int token(const std::string& key, int otherwise) const;  ///< a token id, or the first of a list of them
  [[noreturn]] void fail(const std::string& key, const std::string& what) const;

 private:
  const nlohmann::ordered_json* find(const std::string& key, bool required) const;
  const nlohmann::ordered_json* json_;
  std::string where_;
};

}  // namespace eddy::hf
