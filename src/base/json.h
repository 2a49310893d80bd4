#pragma once
// Parsing JSON that came from elsewhere: errors name the file; a key that stands twice in an object is an error, as
// readers would differ over such a file, and so is nesting that would run copying or writing it out of stack.
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace eddy {

constexpr int kDeepestJson = 256;

/// J is nlohmann::ordered_json (keeps the file's order; for short objects, as look-ups are linear) or nlohmann::json.
/// Throws Error (status 2) naming `where` and the byte for text that is not one JSON value, repeats a key,
/// or is nested deeper than kDeepestJson.
template <class J>
J parse_json(std::string_view text, const std::string& where);

/// A number of JSON as an integer type. nlohmann's get<T> would cut off fractions and high bits, and leave
/// floating-point numbers out of T's range to chance. Throws Error (status 2), naming `what`, for what is no whole
/// number in T's range.
template <class T, class J>
T whole_number(const J& value, const char* what) {
  if (value.is_number_unsigned()) {
    const auto n = value.template get<std::uint64_t>();
    if (std::in_range<T>(n)) return static_cast<T>(n);
  } else if (value.is_number_integer()) {
    const auto n = value.template get<std::int64_t>();
    if (std::in_range<T>(n)) return static_cast<T>(n);
  }
  fail_input("{} must be a whole number from {} to {}", what, std::numeric_limits<T>::min(),
             std::numeric_limits<T>::max());
}

}  // namespace eddy
