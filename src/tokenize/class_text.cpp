#include "tokenize/class_text.h"

#include <fmt/format.h>

#include "tokenize/pcre2_handle.h"

namespace eddy::tokenize {

std::string literal(std::uint32_t c) {
  return fmt::format("\\x{{{:X}}}", c);
}

namespace {

std::string class_items(const Ranges& ranges) {
  std::string out;
  for (const auto& [first, last] : ranges) out += first == last ? literal(first) : literal(first) + "-" + literal(last);
  return out;
}

std::string category_names(std::uint32_t set) {
  std::string out;
  for (int i = 0; i < kCategories; ++i)
    if (set >> i & 1) out += fmt::format("\\p{{{}}}", kCategoryNames[static_cast<std::size_t>(i)]);
  return out;
}

/// The code points that the PCRE2 of this machine takes for `set`. Planes 4 to 13 (no characters) and 15 and 16
/// (private use) are the same in all versions of Unicode and are left out.
Ranges pcre2_ranges(std::uint32_t set) {
  static const std::string text = [] {
    std::string all;
    for (std::uint32_t c = 0; c < 0xF0000; c = c == 0xD7FF ? 0xE000 : c == 0x3FFFF ? 0xE0000 : c + 1)
      append_utf8(all, c);
    return all;
  }();
  const CodeHandle code = compile_pcre2("[" + category_names(set) + "]+", category_names(set));
  const MatchDataHandle data(pcre2_match_data_create(1, nullptr));
  Ranges out;
  for (std::size_t at = 0; pcre2_match(code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at,
                                       PCRE2_NO_UTF_CHECK, data.get(), nullptr) >= 0;) {
    const PCRE2_SIZE* match = pcre2_get_ovector_pointer(data.get());
    at = match[1];
    std::size_t last = at - 1;
    while ((text[last] & 0xC0) == 0x80) --last;
    out.emplace_back(decode_utf8(text.data() + match[0]).code_point, decode_utf8(text.data() + last).code_point);
  }
  return out;
}

/// Items of a class for the general categories in `set`: PCRE2's own \p{…} and what it lacks, which compiles smaller
/// and runs faster than a thousand ranges; the ranges where this PCRE2 has code points that the table has not.
std::string category_items(std::uint32_t set) {
  const Ranges ours = category_ranges(set), theirs = pcre2_ranges(set);
  if (unite(ours, theirs) != ours) return class_items(ours);
  return category_names(set) + class_items(complement(unite(complement(ours), theirs)));
}

}  // namespace

ClassText::ClassText(const Ranges& ranges) : ClassText(class_items(ranges), ranges) {}
ClassText::ClassText(std::string inside, const Ranges& ranges)
    : items(std::move(inside)), complement_items(class_items(complement(ranges))) {}

const ClassText* class_text(char letter) {
  static const ClassText space(space_ranges()), word(word_ranges()), digit(category_ranges(category_set("Nd"))),
      hexadecimal({{'0', '9'}, {'A', 'F'}, {'a', 'f'}});
  switch (letter) {
    case 's':
      return &space;
    case 'w':
      return &word;
    case 'd':
      return &digit;
    case 'h':
      return &hexadecimal;
    default:
      return nullptr;
  }
}

ClassText category_text(std::uint32_t set) {
  return {category_items(set), category_ranges(set)};
}

}  // namespace eddy::tokenize
