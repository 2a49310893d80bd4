#pragma once
// Finds added tokens in a text: the longest at the leftmost place, those with normalized=false before the others (which
// are looked for in what the first pass leaves), as Hugging Face's AddedVocabulary does.
#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenize/definition.h"

namespace eddy::tokenize {

/// A stretch of the text: one added token, or text to be split (id = kPlainText).
struct Segment {
  std::size_t begin, end;  ///< bytes
  std::uint32_t id;
};
inline constexpr std::uint32_t kPlainText = 0xFFFFFFFFu;

/// Immutable once built.
class AddedTokens {
 public:
  explicit AddedTokens(const std::vector<AddedToken>& tokens);
  AddedTokens(const AddedTokens&) = delete;  // the tries point into tokens_
  AddedTokens& operator=(const AddedTokens&) = delete;
  /// Cuts `text` into segments that cover it, in order.
  std::vector<Segment> segments(std::string_view text) const;

 private:
  /// The tokens of one pass as a trie over bytes.
  struct Trie {
    struct Node {
      std::unordered_map<std::uint8_t, std::uint32_t> children{};
      const AddedToken* token = nullptr;
    };
    std::vector<Node> nodes{1};
    std::array<bool, 256> first{};
    void insert(const AddedToken& token);
    const AddedToken* longest_at(std::string_view text) const;
  };
  static void cut(const Trie& trie, std::string_view text, std::size_t offset, std::vector<Segment>& out);

  std::vector<AddedToken> tokens_;
  Trie raw_, normalized_;
};

}  // namespace eddy::tokenize
