#pragma once
// Text that training can use: valid UTF-8, in Unicode's composed form (NFC), lines ended by \n, no control characters.
#include <cstdint>
#include <string>
#include <string_view>

namespace eddy::text {

struct Cleaned {
  std::string text;
  std::uint64_t invalid = 0;   ///< ill-formed UTF-8 sequences, each replaced by one U+FFFD
  std::uint64_t controls = 0;  ///< control characters removed (carriage returns before a newline not counted)
};

/// Replaces ill-formed UTF-8 (maximal subparts, as Unicode 15 §3.9 recommends), turns \r\n, \r, form feed, vertical tab
/// and U+0085 into \n, drops the byte order mark, other C0 and C1 controls, DEL and noncharacters, and composes (NFC),
/// with a joiner (U+034F) behind every 30 marks on one letter. Tabs stay.
Cleaned clean(std::string_view bytes);

/// Characters (code points) of valid UTF-8.
std::uint64_t count_characters(std::string_view utf8);

/// True when nothing but white space is left.
bool is_blank(std::string_view utf8);

}  // namespace eddy::text
