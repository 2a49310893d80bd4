#pragma once
// One option: what is known of it, and its value as text. For options.cpp alone.
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/options.h"

namespace eddy {

struct Option {
  using Target =
      std::variant<bool*, int*, std::int64_t*, std::uint64_t*, double*, std::string*, std::vector<std::string>*>;
  std::string key, help, preset;  // preset: the default, as help() shows it
  Target target;
  OptionRule rule;
  bool list() const { return std::holds_alternative<std::vector<std::string>*>(target); }
};

/// What stands in the target, as text a person (and set_from_text) reads.
std::string to_text(const Option& o);
/// What an option takes: "integer, 1 to 8".
std::string allowed(const Option& o);
/// Stores `text` in the target (appends it to a list); false if it is no value of the target's type or against the
/// rule.
bool set_from_text(const Option& o, const std::string& text);

}  // namespace eddy
