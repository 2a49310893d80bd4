#include "tokenize/added_tokens.h"

#include <algorithm>

#include "tokenize/unicode.h"

namespace eddy::tokenize {
namespace {

/// The character that ends at text's end; U+FFFD where that is not one.
std::uint32_t last_character(std::string_view text, std::size_t& length) {
  for (length = 1; length <= 4 && length <= text.size(); ++length)
    if (const auto tail = text.substr(text.size() - length); character_length(tail) == length)
      return decode_utf8(tail.data()).code_point;
  length = 1;
  return 0xFFFD;
}

bool ends_with_word(std::string_view text) {
  std::size_t length = 0;
  return !text.empty() && is_rust_word(last_character(text, length));
}
bool starts_with_word(std::string_view text) {
  return character_length(text) > 0 && is_rust_word(decode_utf8(text.data()).code_point);
}
std::size_t spaces_at_end(std::string_view text) {
  std::size_t count = 0, length = 0;
  while (count < text.size() && is_space(last_character(text.substr(0, text.size() - count), length))) count += length;
  return count;
}
std::size_t spaces_at_start(std::string_view text) {
  std::size_t count = 0;
  while (const std::size_t length = character_length(text.substr(count))) {
    if (!is_space(decode_utf8(text.data() + count).code_point)) break;
    count += length;
  }
  return count;
}

}  // namespace

void AddedTokens::Trie::insert(const AddedToken& token) {
  std::uint32_t at = 0;
  for (const char c : token.content) {
    const auto [child, fresh] =
        nodes[at].children.try_emplace(static_cast<std::uint8_t>(c), static_cast<std::uint32_t>(nodes.size()));
    at = child->second;
    if (fresh) nodes.emplace_back();
  }
  nodes[at].token = &token;
  first[static_cast<std::uint8_t>(token.content.front())] = true;
}

const AddedToken* AddedTokens::Trie::longest_at(std::string_view text) const {
  const AddedToken* best = nullptr;
  std::uint32_t at = 0;
  for (const char c : text) {
    const auto child = nodes[at].children.find(static_cast<std::uint8_t>(c));
    if (child == nodes[at].children.end()) break;
    at = child->second;
    if (nodes[at].token) best = nodes[at].token;
  }
  return best;
}

AddedTokens::AddedTokens(const std::vector<AddedToken>& tokens) : tokens_(tokens) {
  for (const AddedToken& token : tokens_) (token.normalized ? normalized_ : raw_).insert(token);
}

void AddedTokens::cut(const Trie& trie, std::string_view text, std::size_t offset, std::vector<Segment>& out) {
  std::size_t done = 0;
  const auto plain_until = [&](std::size_t end) {
    if (done < end) out.push_back({offset + done, offset + end, kPlainText});
  };
  const bool one_first = std::count(trie.first.begin(), trie.first.end(), true) == 1;
  const auto only = static_cast<char>(std::find(trie.first.begin(), trie.first.end(), true) - trie.first.begin());
  for (std::size_t at = 0; at < text.size();) {
    if (one_first) at = std::min(text.find(only, at), text.size());  // a memchr: all of DeepSeek's begin with '<'
    const AddedToken* token = at < text.size() && trie.first[static_cast<std::uint8_t>(text[at])]
                                  ? trie.longest_at(text.substr(at))
                                  : nullptr;
    if (!token) {
      ++at;
      continue;
    }
    std::size_t begin = at, end = at + token->content.size();
    at = end;
    if (token->single_word && (ends_with_word(text.substr(0, begin)) || starts_with_word(text.substr(end)))) continue;
    if (token->left_strip) begin -= spaces_at_end(text.substr(0, begin));
    if (token->right_strip) end += spaces_at_start(text.substr(end));
    begin = std::max(begin, done);  // what an earlier token took along stays with it
    if (begin >= end) continue;
    plain_until(begin);
    out.push_back({offset + begin, offset + end, token->id});
    done = end;
  }
  plain_until(text.size());
}

std::vector<Segment> AddedTokens::segments(std::string_view text) const {
  std::vector<Segment> first, out;
  cut(raw_, text, 0, first);
  for (const Segment& segment : first) {
    if (segment.id != kPlainText)
      out.push_back(segment);
    else
      cut(normalized_, text.substr(segment.begin, segment.end - segment.begin), segment.begin, out);
  }
  return out;
}

}  // namespace eddy::tokenize
