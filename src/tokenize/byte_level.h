#pragma once
// GPT-2's alphabet: each byte is spelled by one printable character in the vocabulary ("Ġ" is the space).
// Source: openai/gpt-2, encoder.py, bytes_to_unicode; the same map in Hugging Face's ByteLevel.
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace eddy::tokenize {

/// The code point that spells each byte.
const std::array<std::uint32_t, 256>& byte_characters();
/// Bytes in the order of their characters' code points: the order in which Hugging Face's trainer numbers them.
std::array<std::uint8_t, 256> bytes_by_character();
/// "Ġthe" for " the".
std::string spell(std::string_view bytes);
/// " the" for "Ġthe"; nothing when a character of `spelling` stands for no byte.
std::optional<std::string> unspell(std::string_view spelling);

}  // namespace eddy::tokenize
