#pragma once
// The words of a text as hashes, the same for texts that differ in case, punctuation and white space: what
// near-duplicates and overlaps with evaluation sets are found by.
#include <cstdint>
#include <string_view>
#include <vector>

namespace eddy::text {

/// A word: a maximal run of ASCII letters and digits, and of characters beyond ASCII but for no-break spaces and
/// general punctuation (U+2000 to U+206F); ASCII letters in lower case. `out` gets one XXH3-64 a word, in order; `text`
/// is UTF-8. `ends`, when given, gets each word's end in bytes.
void word_hashes(std::string_view text, std::vector<std::uint64_t>& out, std::vector<std::uint32_t>* ends = nullptr);

/// Hashes of all runs of n words (a text of fewer words, but not of none, is one run): a rolling polynomial, mixed.
void ngram_hashes(const std::vector<std::uint64_t>& words, std::size_t n, std::vector<std::uint64_t>& out);

}  // namespace eddy::text
