#pragma once
// UTF-8 and Unicode's general categories. The categories are Eddy's own table (unicode_categories.cpp), taken from the
// oniguruma inside Hugging Face's `tokenizers`: PCRE2's Unicode version depends on the machine, token ids must not.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace eddy::tokenize {

/// General categories, in the order of the table.
// clang-format off
enum class Category : std::uint8_t {
  Lu, Ll, Lt, Lm, Lo, Mn, Mc, Me, Nd, Nl, No, Pc, Pd, Ps, Pe, Pi, Pf, Po, Sm, Sc, Sk, So, Zs, Zl, Zp, Cc, Cf, Cs, Co, Cn
};
// clang-format on
inline constexpr int kCategories = 30;
/// "Lu", "Ll", … in the order of Category.
extern const std::array<std::string_view, kCategories> kCategoryNames;

inline constexpr std::uint32_t kMaxCodePoint = 0x10FFFF;
using Ranges = std::vector<std::pair<std::uint32_t, std::uint32_t>>;  ///< ascending, disjoint, both ends included

/// The categories whose name begins with `name` ("L" is Lu … Lo), as a bit set; 0 for an unknown name.
std::uint32_t category_set(std::string_view name);
/// Code points of the categories in `set`, surrogates left out.
Ranges category_ranges(std::uint32_t set);
/// Oniguruma's \s and Rust's char::is_whitespace: White_Space.
const Ranges& space_ranges();
/// Oniguruma's \w. Rust's \w also has U+200C and U+200D, and lacks six of Latin-1's superscripts and fractions.
Ranges word_ranges();
/// Rust's \w, by which Hugging Face judges `single_word`.
bool is_rust_word(std::uint32_t code_point);
bool is_space(std::uint32_t code_point);
Category category(std::uint32_t code_point);
/// a ∪ b, and every code point (surrogates left out) that is not in `ranges`.
Ranges unite(Ranges a, const Ranges& b);
Ranges complement(const Ranges& ranges);
bool contains(const Ranges& ranges, std::uint32_t code_point);

/// Bytes of the well-formed UTF-8 character at the front of `text`; 0 when there is none (no overlong forms, no
/// surrogates, nothing above U+10FFFF).
std::size_t character_length(std::string_view text);
/// Bytes at the front of `text` that are well-formed UTF-8.
std::size_t valid_utf8_prefix(std::string_view text);
void append_utf8(std::string& out, std::uint32_t code_point);

struct Decoded {
  std::uint32_t code_point;
  std::uint32_t length;  ///< bytes
};
/// The character at `p`, which must be well-formed and complete.
inline Decoded decode_utf8(const char* p) {
  const auto b = [p](int i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(p[i])); };
  if (b(0) < 0x80) return {b(0), 1};
  if (b(0) < 0xE0) return {(b(0) & 31) << 6 | (b(1) & 63), 2};
  if (b(0) < 0xF0) return {(b(0) & 15) << 12 | (b(1) & 63) << 6 | (b(2) & 63), 3};
  return {(b(0) & 7) << 18 | (b(1) & 63) << 12 | (b(2) & 63) << 6 | (b(3) & 63), 4};
}

}  // namespace eddy::tokenize
