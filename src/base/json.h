#pragma once
// Parsing JSON that came from elsewhere: errors name the file; a key that stands twice in an object is an error, as
// readers would differ over such a file, and so is nesting that would run copying or writing it out of stack.
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace eddy {

constexpr int kDeepestJson = 256;

/// J is nlohmann::ordered_json (keeps the file's order; for short objects, as look-ups are linear) or nlohmann::json.
/// Throws Error (status 2) naming `where` and the byte for text that is not one JSON value, repeats a key,
/// or is nested deeper than kDeepestJson.
template <class J>
J parse_json(std::string_view text, const std::string& where);

/// What the library says of it without its own name for it: "at line 1, column 7: …", "type must be string, but is
/// number".
std::string json_reason(const nlohmann::detail::exception& e);

}  // namespace eddy
