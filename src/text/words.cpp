#include "text/words.h"

#include <algorithm>
#include <array>

#include "base/hash.h"
#include "base/rng.h"

namespace eddy::text {
namespace {

/// What a byte becomes within a word; 0: it ends one.
constexpr std::array<unsigned char, 256> make_table() {
  std::array<unsigned char, 256> t{};
  for (int c = 0; c < 256; ++c) {
    const bool upper = c >= 'A' && c <= 'Z';
    if (upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80)
      t[static_cast<std::size_t>(c)] = static_cast<unsigned char>(upper ? c + 32 : c);
  }
  return t;
}
constexpr std::array<unsigned char, 256> kTable = make_table();

constexpr std::size_t kLongest = 256;  ///< bytes hashed at once; a longer run is hashed in pieces of this size

/// Bytes of a separator beyond ASCII at s[i]: U+00A0, U+2000 to U+206F; 0 for anything else.
std::size_t separator(const unsigned char* s, std::size_t i, std::size_t n) {
  if (s[i] == 0xC2 && i + 1 < n && s[i + 1] == 0xA0) return 2;
  if (s[i] == 0xE2 && i + 2 < n && (s[i + 1] == 0x80 || (s[i + 1] == 0x81 && s[i + 2] < 0xB0))) return 3;
  return 0;
}

constexpr std::uint64_t kBase = 0x9E3779B97F4A7C15ull;  // odd: multiplying by it is a bijection

}  // namespace

void word_hashes(std::string_view text, std::vector<std::uint64_t>& out, std::vector<std::uint32_t>* ends) {
  out.clear();
  if (ends) ends->clear();
  const auto* s = reinterpret_cast<const unsigned char*>(text.data());
  const std::size_t n = text.size();
  std::array<unsigned char, kLongest> word;
  std::size_t i = 0;
  while (i < n) {
    while (i < n && kTable[s[i]] == 0) ++i;
    std::size_t length = 0;
    std::uint64_t before = 0;
    for (; i < n; ++i) {
      const unsigned char c = kTable[s[i]];
      if (c == 0) break;
      if (c >= 0x80)
        if (const std::size_t skip = separator(s, i, n)) {
          i += skip;
          break;
        }
      if (length == kLongest) {
        before = xxh3(word.data(), length, before + 1);
        length = 0;
      }
      word[length++] = c;
    }
    if (length == 0) continue;
    out.push_back(xxh3(word.data(), length, before));
    if (ends) ends->push_back(static_cast<std::uint32_t>(i));
  }
}

void ngram_hashes(const std::vector<std::uint64_t>& words, std::size_t n, std::vector<std::uint64_t>& out) {
  out.clear();
  if (words.empty()) return;
  std::uint64_t rolling = 0, top = 1;  // top: kBase^n
  const std::size_t first = std::min(n, words.size());
  for (std::size_t i = 0; i < first; ++i) {
    rolling = rolling * kBase + words[i];
    top *= kBase;
  }
  out.reserve(words.size() - first + 1);
  out.push_back(mix(first, rolling));
  for (std::size_t i = first; i < words.size(); ++i) {
    rolling = rolling * kBase + words[i] - top * words[i - first];
    out.push_back(mix(first, rolling));
  }
}

}  // namespace eddy::text
