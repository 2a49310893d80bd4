#include "tokenize/unicode.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "tokenize/unicode_data.h"

namespace eddy::tokenize {

const std::array<std::string_view, kCategories> kCategoryNames = {
    "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe",
    "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn"};

namespace {

struct Run {
  std::uint32_t begin;
  Category category;
};

std::vector<Run> read_runs() {
  std::vector<Run> runs;
  std::uint32_t at = 0;
  for (std::size_t i = 0; i < kCategoryRuns.size();) {
    const char letter = kCategoryRuns[i++];
    std::uint32_t length = 0;
    for (; i < kCategoryRuns.size() && kCategoryRuns[i] <= '9'; ++i)
      length = length * 10 + static_cast<std::uint32_t>(kCategoryRuns[i] - '0');
    runs.push_back({at, static_cast<Category>(letter <= 'Z' ? letter - 'A' : letter - 'a' + 26)});
    at += std::max(length, 1u);
  }
  return runs;
}

const std::vector<Run>& runs() {
  static const std::vector<Run> all = read_runs();
  return all;
}

std::uint32_t bit(Category c) {
  return 1u << static_cast<int>(c);
}

}  // namespace

std::uint32_t category_set(std::string_view name) {
  std::uint32_t set = 0;
  for (int i = 0; i < kCategories; ++i)
    if (!name.empty() && kCategoryNames[static_cast<std::size_t>(i)].starts_with(name)) set |= 1u << i;
  return set;
}

Ranges category_ranges(std::uint32_t set) {
  set &= ~bit(Category::Cs);
  Ranges ranges;
  for (std::size_t i = 0; i < runs().size(); ++i) {
    if (!(set & bit(runs()[i].category))) continue;
    const std::uint32_t begin = runs()[i].begin, last = i + 1 < runs().size() ? runs()[i + 1].begin - 1 : kMaxCodePoint;
    if (!ranges.empty() && ranges.back().second + 1 == begin)
      ranges.back().second = last;
    else
      ranges.emplace_back(begin, last);
  }
  return ranges;
}

Category category(std::uint32_t code_point) {
  const auto after = std::upper_bound(runs().begin(), runs().end(), code_point,
                                      [](std::uint32_t c, const Run& run) { return c < run.begin; });
  return std::prev(after)->category;
}

const Ranges& space_ranges() {
  static const Ranges ranges = {{0x09, 0x0D},     {0x20, 0x20},     {0x85, 0x85},     {0xA0, 0xA0},
                                {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F},
                                {0x205F, 0x205F}, {0x3000, 0x3000}};
  return ranges;
}

bool is_space(std::uint32_t c) {
  return contains(space_ranges(), c);
}

namespace {
// Alphabetic = L, Nl and these symbols (marks are in \w anyway): circled and squared letters.
const Ranges& alphabetic_symbols() {
  static const Ranges ranges = {{0x24B6, 0x24E9}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}};
  return ranges;
}
std::uint32_t word_categories() {
  return category_set("L") | category_set("M") | bit(Category::Nd) | bit(Category::Nl) | bit(Category::Pc);
}
}  // namespace

Ranges word_ranges() {
  const Ranges latin1 = {{0xB2, 0xB3}, {0xB9, 0xB9}, {0xBC, 0xBE}};
  return unite(unite(category_ranges(word_categories()), alphabetic_symbols()), latin1);
}

bool is_rust_word(std::uint32_t c) {
  return (bit(category(c)) & word_categories()) || contains(alphabetic_symbols(), c) || c == 0x200C || c == 0x200D;
}

Ranges unite(Ranges a, const Ranges& b) {
  a.insert(a.end(), b.begin(), b.end());
  std::sort(a.begin(), a.end());
  Ranges out;
  for (const auto& r : a) {
    if (!out.empty() && r.first <= out.back().second + 1)
      out.back().second = std::max(out.back().second, r.second);
    else
      out.push_back(r);
  }
  return out;
}

Ranges complement(const Ranges& ranges) {
  Ranges out;
  std::uint32_t at = 0;
  const auto gap = [&out](std::uint32_t begin, std::uint32_t end) {  // [begin, end) without the surrogates
    if (begin < std::min(end, 0xD800u)) out.emplace_back(begin, std::min(end, 0xD800u) - 1);
    if (std::max(begin, 0xE000u) < end) out.emplace_back(std::max(begin, 0xE000u), end - 1);
  };
  for (const auto& [first, last] : ranges) {
    gap(at, first);
    at = last + 1;
  }
  gap(at, kMaxCodePoint + 1);
  return out;
}

bool contains(const Ranges& ranges, std::uint32_t c) {
  const auto after =
      std::upper_bound(ranges.begin(), ranges.end(), c, [](std::uint32_t x, const auto& r) { return x < r.first; });
  return after != ranges.begin() && std::prev(after)->second >= c;
}

std::size_t character_length(std::string_view text) {
  const auto b = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (text.empty()) return 0;
  if (b(0) < 0x80) return 1;
  const std::size_t n = b(0) < 0xC2 ? 0 : b(0) < 0xE0 ? 2 : b(0) < 0xF0 ? 3 : b(0) < 0xF5 ? 4 : 0;
  if (n == 0 || text.size() < n) return 0;
  for (std::size_t i = 1; i < n; ++i)
    if ((b(i) & 0xC0) != 0x80) return 0;
  // The first continuation byte tells overlong forms, surrogates and what lies beyond U+10FFFF.
  if ((b(0) == 0xE0 && b(1) < 0xA0) || (b(0) == 0xED && b(1) > 0x9F)) return 0;
  if ((b(0) == 0xF0 && b(1) < 0x90) || (b(0) == 0xF4 && b(1) > 0x8F)) return 0;
  return n;
}

std::size_t valid_utf8_prefix(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    std::uint64_t word = 0;
    if (text.size() - at >= sizeof word) {
      std::memcpy(&word, text.data() + at, sizeof word);
      if (!(word & 0x8080808080808080ull)) {
        at += sizeof word;
        continue;
      }
    }
    const std::size_t n = character_length(text.substr(at));
    if (n == 0) return at;
    at += n;
  }
  return at;
}

void append_utf8(std::string& out, std::uint32_t c) {
  const auto put = [&out](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 63));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 63));
    put(0x80 | (c & 63));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 63));
    put(0x80 | (c >> 6 & 63));
    put(0x80 | (c & 63));
  }
}

}  // namespace eddy::tokenize
