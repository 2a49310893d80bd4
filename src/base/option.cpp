#include "base/option.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace eddy {
namespace {
using List = std::vector<std::string>;
std::string join(const List& words, const char* between) {
  return fmt::format("{}", fmt::join(words, between));
}

}  // namespace

std::string to_text(const Option& o) {
  return std::visit(
      [](auto* t) -> std::string {
        if constexpr (std::is_same_v<decltype(t), List*>)
          return join(*t, " ");
        else
          return fmt::format("{}", *t);
      },
      o.target);
}

std::string allowed(const Option& o) {
  static const char* kinds[] = {"true or false", "integer", "integer", "integer from 0", "number", "text", "text..."};
  if (!o.rule.choices.empty()) return join(o.rule.choices, ", ");
  std::string s = kinds[o.target.index()];
  const auto& [min, max] = std::pair(o.rule.min, o.rule.max);
  if (min > -1e300 && max < 1e300)
    s += fmt::format(", {} to {}", min, max);
  else if (min > -1e300)
    s += fmt::format(", at least {}", min);
  else if (max < 1e300)
    s += fmt::format(", at most {}", max);
  return s;
}

bool set_from_text(const Option& o, const std::string& text) {
  const auto among = [&](const std::string& s) {
    const auto& c = o.rule.choices;
    return c.empty() || std::find(c.begin(), c.end(), s) != c.end();
  };
  return std::visit(
      [&](auto* t) -> bool {
        using T = std::remove_pointer_t<decltype(t)>;
        if constexpr (std::is_same_v<T, bool>) {
          const bool yes = text == "true" || text == "1" || text == "yes" || text == "on";
          if (!yes && text != "false" && text != "0" && text != "no" && text != "off") return false;
          *t = yes;
        } else if constexpr (std::is_arithmetic_v<T>) {
          T value{};
          const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
          if (error != std::errc{} || end != text.data() + text.size()) return false;
          const double d = static_cast<double>(value);
          if (!std::isfinite(d) || d < o.rule.min || d > o.rule.max) return false;
          *t = value;
        } else {
          if (!among(text)) return false;
          if constexpr (std::is_same_v<T, List>)
            t->push_back(text);
          else
            *t = text;
        }
        return true;
      },
      o.target);
}

}  // namespace eddy
