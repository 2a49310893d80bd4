#pragma once
// DeepSeek-V3's three splits as one scanner over UTF-8, an order of magnitude faster than a regular-expression engine:
//   \p{N}{1,3}   then   [一-龥぀-ゟ゠-ヿ]+   then, within each piece of those two,
//   P[A-Za-z]+ | [^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+ | ?[\p{P}\p{S}]+[\r\n]* | \s*[\r\n]+ | \s+(?!\S) | \s+
// with P any ASCII punctuation, each Isolated. Tested to equal the splits run by PCRE2.
#include <array>
#include <cstdint>
#include <vector>

#include "tokenize/definition.h"

namespace eddy::tokenize {

class DeepSeekSplits {
 public:
  DeepSeekSplits();
  /// Whether these are the three splits, to the letter.
  static bool recognise(const PreTokenizerRule& rule);
  /// The three splits, for a tokenizer that Eddy trains.
  static std::vector<SplitRule> rules();
  /// The end of the pre-token that begins at `p`, a pre-token's begin in […, end), p < end; well-formed UTF-8.
  const char* next(const char* p, const char* end) const;

 private:
  // What a character may be to the third split. A number or (outside its own runs) a kana or Han character ends the
  // piece that the third split sees: it has only that one bit.
  enum Bit : std::uint8_t {
    kLetter = 1,   // L, M
    kSymbol = 2,   // P, S
    kSpace = 4,    // \s
    kNewline = 8,  // \r \n
    kPrefix = 16,  // [^\r\n\p{L}\p{P}\p{S}]
    kNumber = 32,
    kCjk = 64
  };
  struct Character {
    unsigned bits, length;
  };
  Character at(const char* p, const char* end) const;
  Character at_in_cjk(const char* p, const char* end) const;
  template <bool in_cjk>
  Character look(const char* p, const char* end) const;
  template <bool in_cjk>
  const char* third_split(const char* p, const char* end, Character first) const;
  template <bool in_cjk>
  const char* run(const char* p, const char* end, unsigned bit) const;
  const char* spaces(const char* p, const char* end) const;
  template <bool in_cjk>
  const char* unmatched(const char* p, const char* end) const;

  std::array<std::uint8_t, 128> ascii_{};
  std::vector<std::uint16_t> block_of_;  ///< by code point / 128
  std::vector<std::uint8_t> blocks_;     ///< 128 code points each
  std::vector<std::uint8_t> cjk_bits_;   ///< of U+3040 … U+9FA5 within their own runs
};

}  // namespace eddy::tokenize
