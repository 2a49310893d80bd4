#pragma once
// A tokenizer small enough to work by hand: the 256 bytes (id = byte), then one token per merge.
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "tokenize/byte_level.h"
#include "tokenize/unicode.h"

namespace eddy_test {
using nlohmann::json;

/// `merges` as "a b" in the alphabet of the file ("Ġ" for a space). ByteLevel without any split.
inline json toy(const std::vector<std::string>& merges = {}) {
  json vocabulary = json::object();
  for (int b = 0; b < 256; ++b) vocabulary[eddy::tokenize::spell(std::string(1, static_cast<char>(b)))] = b;
  for (const std::string& merge : merges) {
    std::string joined = merge;
    joined.erase(joined.find(' '), 1);
    if (!vocabulary.contains(joined)) vocabulary[joined] = vocabulary.size();
  }
  return {{"added_tokens", json::array()},
          {"normalizer", nullptr},
          {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}},
          {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", merges}}}};
}

inline json added(int id, const std::string& content, bool special = true, const json& more = json::object()) {
  json token = {{"id", id}, {"content", content}, {"special", special}, {"normalized", false}};
  token.update(more);
  return token;
}

/// Strings over alphabets that are hard for the splits: classes that touch, combining marks, odd spaces, digits of many
/// scripts, kana with its punctuation, unassigned and private code points.
class NastyStrings {
 public:
  explicit NastyStrings(unsigned seed) : random_(seed) {}
  std::string next() {
    static const std::vector<std::u32string> alphabets = {U"ab \n1",
                                                          U" \t\r\n\u00a0\u2003\u3000\u2028\u0085x",
                                                          U"aé\u0301\u0300ß\u0600\u0661\u200d ",
                                                          U"漢字かなカナ・ー゛゜\u3040\u3097\u30a0\u3000。〇龥龦一a1",
                                                          U"\\{}$^_%&~#@!?.,;:-+=<>|/()[]'\"`a1 ",
                                                          U"\u180e\u200b\ufeff\u0001\u001f\u007f\u0085 a\n\u0378",
                                                          U"😀👩\u200d💻\U0001f1e9\U0001f1ea a1",
                                                          U"0129٠½Ⅷ²𝟘a ",
                                                          U"aA'sStT lLdDmMvVrReE",
                                                          U"\ue000\U000f0000\U0010ffff\ufffe a.1\n",
                                                          U"\ua7cb\U0001cc00\U000105c0\u0897\u2427\U00010d40 1"};
    const auto pick = [this](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_); };
    const std::u32string& one = alphabets[pick(alphabets.size())];
    std::string out;
    const bool mixed = pick(4) == 0;
    for (std::size_t n = 1 + pick(50); n > 0; --n) {
      const std::u32string& alphabet = mixed ? alphabets[pick(alphabets.size())] : one;
      eddy::tokenize::append_utf8(out, alphabet[pick(alphabet.size())]);
    }
    return out;
  }

 private:
  std::mt19937 random_;
};

}  // namespace eddy_test
