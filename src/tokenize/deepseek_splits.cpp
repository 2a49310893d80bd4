#include "tokenize/deepseek_splits.h"

#include <algorithm>
#include <map>
#include <string>

#include "tokenize/unicode.h"

namespace eddy::tokenize {
namespace {

constexpr std::uint32_t kCjkFirst = 0x3040, kCjkLast = 0x9FA5;
bool is_cjk(std::uint32_t c) {
  return (c >= 0x4E00 && c <= kCjkLast) || (c >= kCjkFirst && c <= 0x30FF);
}
bool is_ascii_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

}  // namespace

std::vector<SplitRule> DeepSeekSplits::rules() {
  return {{R"(\p{N}{1,3})"},
          {"[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+"},
          {"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
           " ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"}};
}

bool DeepSeekSplits::recognise(const PreTokenizerRule& rule) {
  const auto known = rules();
  if (rule.add_prefix_space || rule.gpt2_split || rule.splits.size() != known.size()) return false;
  for (std::size_t i = 0; i < known.size(); ++i)
    if (rule.splits[i].pattern != known[i].pattern || rule.splits[i].invert ||
        rule.splits[i].behavior != SplitBehavior::isolated)
      return false;
  return true;
}

DeepSeekSplits::DeepSeekSplits() {
  std::vector<std::uint8_t> bits(kMaxCodePoint + 1, kPrefix);
  const auto set = [&bits](const Ranges& ranges, unsigned on, unsigned off) {
    for (const auto& [first, last] : ranges)
      for (std::uint32_t c = first; c <= last; ++c) bits[c] = static_cast<std::uint8_t>((bits[c] & ~off) | on);
  };
  set(category_ranges(category_set("L")), kLetter, kPrefix);
  set(category_ranges(category_set("M")), kLetter, 0);
  set(category_ranges(category_set("P") | category_set("S")), kSymbol, kPrefix);
  set(space_ranges(), kSpace, 0);
  set({{'\n', '\n'}, {'\r', '\r'}}, kNewline, kPrefix);
  set(category_ranges(category_set("N")), kNumber, 0xFF);
  cjk_bits_.assign(bits.begin() + kCjkFirst, bits.begin() + kCjkLast + 1);
  for (std::uint32_t c = kCjkFirst; c <= kCjkLast; ++c) {
    if (is_cjk(c))
      bits[c] = kCjk;
    else
      cjk_bits_[c - kCjkFirst] = 0;
  }
  std::copy(bits.begin(), bits.begin() + 128, ascii_.begin());
  std::map<std::string, std::uint16_t> known;
  for (std::size_t begin = 0; begin < bits.size(); begin += 128) {
    const std::string block(bits.data() + begin, bits.data() + begin + 128);
    const auto [entry, fresh] = known.try_emplace(block, static_cast<std::uint16_t>(known.size()));
    if (fresh) blocks_.insert(blocks_.end(), block.begin(), block.end());
    block_of_.push_back(entry->second);
  }
}

inline DeepSeekSplits::Character DeepSeekSplits::at(const char* p, const char* end) const {
  if (p >= end) return {0, 0};
  const auto byte = static_cast<unsigned char>(*p);
  if (byte < 0x80) return {ascii_[byte], 1};
  const Decoded d = decode_utf8(p);
  return {blocks_[std::size_t{block_of_[d.code_point >> 7]} * 128 + (d.code_point & 127)], d.length};
}

inline DeepSeekSplits::Character DeepSeekSplits::at_in_cjk(const char* p, const char* end) const {
  if (p >= end) return {0, 0};
  const Decoded d = decode_utf8(p);
  if (d.code_point < kCjkFirst || d.code_point > kCjkLast) return {0, d.length};
  return {cjk_bits_[d.code_point - kCjkFirst], d.length};
}

template <bool in_cjk>
inline DeepSeekSplits::Character DeepSeekSplits::look(const char* p, const char* end) const {
  if constexpr (in_cjk) return at_in_cjk(p, end);
  return at(p, end);
}

/// The end of the run of characters with `bit` at `p`.
template <bool in_cjk>
inline const char* DeepSeekSplits::run(const char* p, const char* end, unsigned bit) const {
  for (Character c = look<in_cjk>(p, end); c.bits & bit; c = look<in_cjk>(p, end)) p += c.length;
  return p;
}

/// \s*[\r\n]+ | \s+(?!\S) | \s+
const char* DeepSeekSplits::spaces(const char* p, const char* end) const {
  const char *after_newline = nullptr, *last = p, *q = p;
  Character c = at(q, end);
  while (c.bits & kSpace) {
    last = q;
    q += c.length;
    if (c.bits & kNewline) after_newline = q;
    c = at(q, end);
  }
  if (after_newline) return after_newline;
  const bool at_edge = c.bits == 0 || (c.bits & (kNumber | kCjk));
  return at_edge || last == p ? q : last;
}

/// Characters that no alternative matches stay together up to the next match.
template <bool in_cjk>
const char* DeepSeekSplits::unmatched(const char* p, const char* end) const {
  for (;;) {
    const Character c = look<in_cjk>(p, end);
    if (c.bits != kPrefix) return p;  // the edge, or where a match begins
    if (look<in_cjk>(p + c.length, end).bits & kLetter) return p;
    p += c.length;
  }
}

template <bool in_cjk>
inline const char* DeepSeekSplits::third_split(const char* p, const char* end, Character first) const {
  const char* second = p + first.length;
  if (first.bits & kLetter) return run<in_cjk>(second, end, kLetter);
  if (first.bits & kSymbol) {
    if (first.length == 1 && second < end && is_ascii_letter(*second)) {
      while (second < end && is_ascii_letter(*second)) ++second;
      return second;
    }
    return run<in_cjk>(run<in_cjk>(second, end, kSymbol), end, kNewline);
  }
  const Character next = look<in_cjk>(second, end);
  if ((first.bits & kPrefix) && (next.bits & kLetter)) return run<in_cjk>(second + next.length, end, kLetter);
  if (*p == ' ' && (next.bits & kSymbol))
    return run<in_cjk>(run<in_cjk>(second + next.length, end, kSymbol), end, kNewline);
  if (first.bits & kSpace) return spaces(p, end);
  return unmatched<in_cjk>(second, end);
}

const char* DeepSeekSplits::next(const char* p, const char* end) const {
  const Character first = at(p, end);
  if (first.bits & kNumber) {
    const char* q = p + first.length;
    for (int i = 1; i < 3; ++i)
      if (const Character c = at(q, end); c.bits & kNumber)
        q += c.length;
      else
        break;
    return q;
  }
  if (first.bits & kCjk) return third_split<true>(p, end, at_in_cjk(p, end));
  return third_split<false>(p, end, first);
}

}  // namespace eddy::tokenize
