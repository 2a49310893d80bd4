#pragma once
// Parsing JSON that came from elsewhere: errors name the file; a key that stands twice in an object is an error, as
// readers would differ over such a file.
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace eddy {

/// J is nlohmann::ordered_json (keeps the file's order; for short objects, as look-ups are linear) or nlohmann::json.
/// Throws Error (status 2) naming `where` and the byte for text that is not one JSON value, or that repeats a key.
template <class J>
J parse_json(std::string_view text, const std::string& where);

}  // namespace eddy
