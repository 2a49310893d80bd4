#include "tokenize/byte_level.h"

#include <algorithm>
#include <numeric>

#include "tokenize/unicode.h"

namespace eddy::tokenize {

const std::array<std::uint32_t, 256>& byte_characters() {
  static const auto characters = [] {
    std::array<std::uint32_t, 256> table{};
    std::uint32_t next = 256;
    for (std::uint32_t b = 0; b < 256; ++b) {
      const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      table[b] = printable ? b : next++;
    }
    return table;
  }();
  return characters;
}

std::array<std::uint8_t, 256> bytes_by_character() {
  std::array<std::uint8_t, 256> order{};
  std::iota(order.begin(), order.end(), std::uint8_t{0});
  std::sort(order.begin(), order.end(),
            [](std::uint8_t a, std::uint8_t b) { return byte_characters()[a] < byte_characters()[b]; });
  return order;
}

std::string spell(std::string_view bytes) {
  std::string out;
  for (const char b : bytes) append_utf8(out, byte_characters()[static_cast<unsigned char>(b)]);
  return out;
}

std::optional<std::string> unspell(std::string_view spelling) {
  static const auto byte_of = [] {
    std::array<int, 512> table{};
    table.fill(-1);
    for (int b = 0; b < 256; ++b) table[byte_characters()[static_cast<std::size_t>(b)]] = b;
    return table;
  }();
  std::string out;
  while (!spelling.empty()) {
    const std::size_t n = character_length(spelling);
    if (n == 0) return std::nullopt;
    const std::uint32_t c = decode_utf8(spelling.data()).code_point;
    if (c >= byte_of.size() || byte_of[c] < 0) return std::nullopt;
    out.push_back(static_cast<char>(byte_of[c]));
    spelling.remove_prefix(n);
  }
  return out;
}

}  // namespace eddy::tokenize
