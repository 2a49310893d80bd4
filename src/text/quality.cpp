#include "text/quality.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <unordered_set>

#include "base/hash.h"
#include "text/words.h"

namespace eddy::text {
namespace {

/// A word between blanks, with its place.
struct Token {
  std::string_view text;
  std::uint64_t hash = 0;  // of its letters in lower case
};

/// Counts of 64-bit keys by open addressing; 0 is no key.
class Counts {
 public:
  explicit Counts(std::size_t n) {
    std::size_t size = 16;
    while (size < 2 * n) size *= 2;
    slots_.resize(size);
  }
  std::uint32_t add(std::uint64_t key) {
    key |= key == 0;
    for (std::size_t i = key & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
      if (slots_[i].key == 0) slots_[i].key = key;
      if (slots_[i].key == key) return ++slots_[i].n;
    }
  }

 private:
  struct Slot {
    std::uint64_t key = 0;
    std::uint32_t n = 0;
  };
  std::vector<Slot> slots_;
};

double share(double part, double whole) {
  return whole > 0 ? part / whole : 0;
}

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80;
}

std::vector<Token> tokens_of(std::string_view s) {
  std::vector<Token> out;
  std::string lower;
  for (std::size_t i = 0; i < s.size();) {
    if (static_cast<unsigned char>(s[i]) <= ' ') {
      ++i;
      continue;
    }
    std::size_t end = i;
    while (end < s.size() && static_cast<unsigned char>(s[end]) > ' ') ++end;
    lower.clear();
    for (std::size_t k = i; k < end; ++k) lower += s[k] >= 'A' && s[k] <= 'Z' ? static_cast<char>(s[k] + 32) : s[k];
    std::string_view core = lower;
    while (!core.empty() && !is_letter(core.back()) && !(core.back() >= '0' && core.back() <= '9'))
      core.remove_suffix(1);
    while (!core.empty() && !is_letter(core.front()) && !(core.front() >= '0' && core.front() <= '9'))
      core.remove_prefix(1);
    out.push_back({s.substr(i, end - i), xxh3(core.empty() ? std::string_view(lower) : core)});
    i = end;
  }
  return out;
}

struct Pieces {
  double n = 0, characters = 0, repeated = 0, repeated_characters = 0;
  void add(std::string_view piece, std::unordered_set<std::uint64_t>& seen) {
    ++n;
    characters += static_cast<double>(piece.size());
    if (seen.insert(xxh3(piece)).second) return;
    ++repeated;
    repeated_characters += static_cast<double>(piece.size());
  }
};

std::string_view trimmed(std::string_view s) {
  while (!s.empty() && static_cast<unsigned char>(s.back()) <= ' ') s.remove_suffix(1);
  while (!s.empty() && static_cast<unsigned char>(s.front()) <= ' ') s.remove_prefix(1);
  return s;
}

/// Shares of all characters of words: in the most frequent run of n words; in runs of n words seen before.
double top_share(const std::vector<Token>& t, std::size_t n, double all) {
  if (t.size() < n) return 0;
  Counts counts(t.size());
  double most = 0;
  for (std::size_t i = 0; i + n <= t.size(); ++i) {
    std::uint64_t key = 0, length = 0;
    for (std::size_t k = i; k < i + n; ++k) key = key * 0x9E3779B97F4A7C15ull + t[k].hash, length += t[k].text.size();
    const std::uint32_t c = counts.add(key);
    if (c > 1) most = std::max(most, static_cast<double>(c * length));
  }
  return share(most, all);
}
double repeated_share(const std::vector<Token>& t, std::size_t n, double all) {
  if (t.size() < n) return 0;
  Counts counts(t.size());
  double repeated = 0;
  std::size_t covered = 0;  // words before this are counted
  for (std::size_t i = 0; i + n <= t.size(); ++i) {
    std::uint64_t key = 0;
    for (std::size_t k = i; k < i + n; ++k) key = key * 0x9E3779B97F4A7C15ull + t[k].hash;
    if (counts.add(key) == 1) continue;
    for (covered = std::max(covered, i); covered < i + n; ++covered)
      repeated += static_cast<double>(t[covered].text.size());
  }
  return share(repeated, all);
}

constexpr std::array<std::string_view, 8> kStopWords{"the", "be", "to", "of", "and", "that", "have", "with"};

}  // namespace

QualityRules default_quality_rules() {
  return {{{"min-words", "words", 500, true},
           {"max-words", "words", 100000, false},
           {"min-word-length", "mean length of the words, bytes", 3, true},
           {"max-word-length", "mean length of the words, bytes", 10, false},
           {"max-hashes", "number signs a word", 0.1, false},
           {"max-ellipses", "ellipses a word", 0.1, false},
           {"max-bullet-lines", "share of lines that begin with a bullet", 0.9, false},
           {"max-ellipsis-lines", "share of lines that end with an ellipsis", 0.3, false},
           {"min-alphabetic", "share of words with a letter", 0.8, true},
           {"min-stop-words", "different words of: the be to of and that have with", 2, true},
           {"max-repeated-lines", "share of lines seen before", 0.3, false},
           {"max-repeated-line-bytes", "share of bytes in lines seen before", 0.2, false},
           {"max-repeated-paragraphs", "share of paragraphs seen before", 0.3, false},
           {"max-repeated-paragraph-bytes", "share of bytes in paragraphs seen before", 0.2, false},
           {"max-top-2", "share of bytes in the most frequent run of 2 words", 0.20, false},
           {"max-top-3", "the same of 3 words", 0.18, false},
           {"max-top-4", "the same of 4 words", 0.16, false},
           {"max-repeated-5", "share of bytes in runs of 5 words seen before", 0.15, false},
           {"max-repeated-6", "the same of 6 words", 0.14, false},
           {"max-repeated-7", "the same of 7 words", 0.13, false},
           {"max-repeated-8", "the same of 8 words", 0.12, false},
           {"max-repeated-9", "the same of 9 words", 0.11, false},
           {"max-repeated-10", "the same of 10 words", 0.10, false},
           {"max-lorem-ipsum", "how often 'lorem ipsum' stands there", 0, false},
           {"min-paragraphs", "paragraphs", 5, true},
           {"max-top-word", "share of the most frequent word", 0.075, false},
           {"min-top-word-alphabetic", "1 when the most frequent word begins with a letter", 1, true}}};
}

std::array<double, kQualityRules> measure_quality(std::string_view s) {
  const std::vector<Token> t = tokens_of(s);
  double length = 0, hashes = 0, ellipses = 0, alphabetic = 0, top = 0, lorem = 0;
  bool top_alphabetic = true;
  Counts counts(t.size());
  std::unordered_set<std::uint64_t> stop;
  for (const std::string_view w : kStopWords) stop.insert(xxh3(w));
  std::unordered_set<std::uint64_t> stops_seen;
  const std::uint64_t lorem_hash = xxh3("lorem"), ipsum_hash = xxh3("ipsum");
  for (std::size_t i = 0; i < t.size(); ++i) {
    const std::string_view w = t[i].text;
    length += static_cast<double>(w.size());
    hashes += static_cast<double>(std::count(w.begin(), w.end(), '#'));
    ellipses += w.find("...") != std::string_view::npos || w.find("\u2026") != std::string_view::npos;
    alphabetic += std::any_of(w.begin(), w.end(), is_letter);
    if (stop.contains(t[i].hash)) stops_seen.insert(t[i].hash);
    if (i > 0 && t[i].hash == ipsum_hash && t[i - 1].hash == lorem_hash) ++lorem;
    const double c = counts.add(t[i].hash);
    if (c > top) {
      top = c;
      top_alphabetic = std::any_of(w.begin(), w.end(), is_letter);
    }
  }
  Pieces lines, paragraphs;
  std::unordered_set<std::uint64_t> seen_lines, seen_paragraphs;
  double bullets = 0, ellipsis_lines = 0;
  std::size_t paragraph = 0;
  bool inside = false;
  for (std::size_t i = 0; i <= s.size();) {
    const std::size_t end = std::min(s.find('\n', i), s.size());
    const std::string_view line = trimmed(s.substr(i, end - i));
    if (!line.empty()) {
      lines.add(line, seen_lines);
      bullets += line.starts_with("- ") || line.starts_with("* ") || line.starts_with("\u2022");
      ellipsis_lines += line.ends_with("...") || line.ends_with("\u2026");
      if (!inside) paragraph = i;
      inside = true;
    }
    if (inside && (line.empty() || end == s.size())) {
      paragraphs.add(trimmed(s.substr(paragraph, end - paragraph)), seen_paragraphs);
      inside = false;
    }
    i = end + 1;
  }
  const auto n = static_cast<double>(t.size());
  const double mean = share(length, n);
  return {n,
          n,
          mean,
          mean,
          share(hashes, n),
          share(ellipses, n),
          share(bullets, lines.n),
          share(ellipsis_lines, lines.n),
          share(alphabetic, n),
          static_cast<double>(stops_seen.size()),
          share(lines.repeated, lines.n),
          share(lines.repeated_characters, lines.characters),
          share(paragraphs.repeated, paragraphs.n),
          share(paragraphs.repeated_characters, paragraphs.characters),
          top_share(t, 2, length),
          top_share(t, 3, length),
          top_share(t, 4, length),
          repeated_share(t, 5, length),
          repeated_share(t, 6, length),
          repeated_share(t, 7, length),
          repeated_share(t, 8, length),
          repeated_share(t, 9, length),
          repeated_share(t, 10, length),
          lorem,
          paragraphs.n,
          share(top, n),
          top_alphabetic ? 1.0 : 0.0};
}

std::vector<std::size_t> broken_rules(const QualityRules& rules, const std::array<double, kQualityRules>& measured) {
  std::vector<std::size_t> broken;
  for (std::size_t i = 0; i < rules.size(); ++i)
    if (rules[i].least ? measured[i] < rules[i].limit : measured[i] > rules[i].limit) broken.push_back(i);
  return broken;
}

}  // namespace eddy::text
