#pragma once
// Classes of characters as the inside of PCRE2's [...]: Eddy's own ranges (unicode.h).
#include <cstdint>
#include <string>

#include "tokenize/unicode.h"

namespace eddy::tokenize {

/// \x{...} of a code point.
std::string literal(std::uint32_t c);

/// A class's items and its complement's.
struct ClassText {
  std::string items, complement_items;
  explicit ClassText(const Ranges& ranges);
  ClassText(std::string inside, const Ranges& ranges);
};
/// oniguruma's \s, \w, \d and \h; null for another letter.
const ClassText* class_text(char letter);
/// The general categories in `set` (unicode.h).
ClassText category_text(std::uint32_t set);

}  // namespace eddy::tokenize
