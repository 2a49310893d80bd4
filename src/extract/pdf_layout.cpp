#include "extract/pdf_layout.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string_view>
#include <unordered_set>

#include "extract/pdf_columns.h"

namespace eddy::extract {
namespace {

using std::string;
using std::string_view;

using Line = PdfLine;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_letter(char c) {
  return is_lower(c) || (c >= 'A' && c <= 'Z');
}

void replace_all(string& s, string_view from, string_view to) {
  for (std::size_t at = s.find(from); at != string::npos; at = s.find(from, at + to.size()))
    s.replace(at, from.size(), to);
}

/// Ligatures as letters; accents that TeX's old fonts print before a letter, behind it as combining marks.
void mend_characters(string& s) {
  constexpr std::array<std::pair<string_view, string_view>, 8> ligatures{{{"\uFB00", "ff"},
                                                                          {"\uFB01", "fi"},
                                                                          {"\uFB02", "fl"},
                                                                          {"\uFB03", "ffi"},
                                                                          {"\uFB04", "ffl"},
                                                                          {"\uFB05", "st"},
                                                                          {"\uFB06", "st"},
                                                                          {"\u00A0", " "}}};
  constexpr std::array<std::pair<string_view, string_view>, 10> accents{{{"\u00B4", "\u0301"},
                                                                         {"\u02CB", "\u0300"},
                                                                         {"\u00A8", "\u0308"},
                                                                         {"\u02C6", "\u0302"},
                                                                         {"\u02DC", "\u0303"},
                                                                         {"\u02C7", "\u030C"},
                                                                         {"\u02DD", "\u030B"},
                                                                         {"\u02D9", "\u0307"},
                                                                         {"\u00AF", "\u0304"},
                                                                         {"\u02D8", "\u0306"}}};
  if (std::all_of(s.begin(), s.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; })) return;
  for (const auto& [from, to] : ligatures) replace_all(s, from, to);
  for (const auto& [from, to] : accents)
    for (std::size_t at = s.find(from); at != string::npos; at = s.find(from, at + 1)) {
      const std::size_t next = at + from.size();
      const bool dotless = s.compare(next, 2, "\u0131") == 0;
      if (next >= s.size() || (!is_letter(s[next]) && !dotless)) continue;
      s.replace(at, from.size() + (dotless ? 2 : 1), (dotless ? "i" : string(1, s[next])) + string(to));
    }
}

/// A line of digits, roman digits, dashes and the word "page".
bool is_page_number(string_view s) {
  string letters;
  std::size_t digits = 0, roman = 0, other = 0;
  for (const char c : s) {
    if (is_digit(c))
      ++digits;
    else if (is_letter(c))
      letters += static_cast<char>(c | 0x20);
    else if (c != ' ' && c != '-' && c != '.' && c != '/' && c != '[' && c != ']' && c != '(' && c != ')' &&
             static_cast<unsigned char>(c) < 0x80)
      ++other;
  }
  for (const char c : letters) roman += c == 'i' || c == 'v' || c == 'x' || c == 'l';
  if (other > 0 || digits > 5) return false;
  if (letters.empty()) return digits > 0;
  if (letters == "page" || letters == "pageof" || letters == "p") return digits > 0;
  return digits == 0 && roman == letters.size() && letters.size() <= 5;
}

/// What is the same on many pages: letters, with numbers made alike.
string furniture_key(string_view s) {
  string key;
  for (const char c : s)
    if (is_digit(c)) {
      if (key.empty() || key.back() != '#') key += '#';
    } else if (c != ' ') {
      key += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    }
  return key;
}

/// The number that begins or ends a line, or -1.
long edge_number(string_view s, bool at_end) {
  std::size_t n = 0;
  while (n < s.size() && is_digit(at_end ? s[s.size() - 1 - n] : s[n])) ++n;
  if (n == 0 || n > 5 || (n < s.size() && (at_end ? s[s.size() - 1 - n] : s[n]) != ' ')) return -1;
  return std::stol(string(at_end ? s.substr(s.size() - n) : s.substr(0, n)));
}

/// Marks headers, footers and page numbers: the outermost rows of pages that repeat, or carry the page's number.
void mark_furniture(const std::vector<PdfPage>& pages, std::vector<std::vector<Line>>& segments) {
  struct Place {
    std::vector<Line*> row;
    string text;
    std::size_t page;
    bool top;
    std::size_t rank;
  };
  std::vector<Place> places;
  const auto put = [&](const std::vector<Line*>& row, std::size_t page, bool top, std::size_t rank) {
    string text;
    for (const Line* l : row) text += (text.empty() ? "" : " ") + l->text;
    places.push_back({row, std::move(text), page, top, rank});
  };
  for (std::size_t p = 0; p < pages.size(); ++p) {
    const auto rows = rows_of(segments[p]);
    const std::size_t n = rows.size();
    for (std::size_t i = 0; i < n && i < 3; ++i)
      if (rows[i][0]->bottom < 0.14F * pages[p].height) put(rows[i], p, true, i);
    for (std::size_t i = 0; i < n && i < 3; ++i)
      if (rows[n - 1 - i][0]->top > 0.86F * pages[p].height) put(rows[n - 1 - i], p, false, i);
  }
  std::map<string, std::size_t> count;
  std::map<long, std::size_t> offsets;
  const auto key = [](const Place& place) { return (place.top ? "t" : "b") + furniture_key(place.text); };
  for (const Place& place : places) {
    ++count[key(place)];
    for (const bool end : {false, true})
      if (const long n = edge_number(place.text, end); n >= 0) ++offsets[n - static_cast<long>(place.page)];
  }
  const std::size_t enough = std::max<std::size_t>(pages.size() <= 4 ? 2 : 3, pages.size() / 8);
  long offset = -1'000'000;
  std::size_t most = std::max<std::size_t>(2, pages.size() * 2 / 5);
  for (const auto& [value, n] : offsets)
    if (n > most) {
      most = n;
      offset = value;
    }
  for (const Place& place : places) {
    const bool repeats = count[key(place)] >= enough && place.text.size() < 150;
    bool numbered = false;
    for (const bool end : {false, true})
      if (const long n = edge_number(place.text, end); n >= 0)
        numbered =
            numbered || (n - static_cast<long>(place.page) == offset && place.text.size() < 90 && place.rank < 2);
    if (repeats || numbered || (is_page_number(place.text) && place.rank < 2))
      for (Line* l : place.row) l->furniture = true;
  }
}

/// Lower-case words of letters in `s`, and words with hyphens in them.
template <class F>
void each_word(string_view s, const F& f) {
  for (std::size_t i = 0; i < s.size();) {
    if (!is_letter(s[i])) {
      ++i;
      continue;
    }
    const std::size_t begin = i;
    while (i < s.size() && (is_letter(s[i]) || (s[i] == '-' && i + 1 < s.size() && is_letter(s[i + 1])))) ++i;
    string word(s.substr(begin, i - begin));
    for (char& c : word)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    f(std::move(word), i);
  }
}

class Joiner {
 public:
  explicit Joiner(const std::vector<std::vector<Line>>& pages) {
    for (const auto& page : pages)
      for (const Line& line : page)
        each_word(line.text, [&](string word, std::size_t end) {
          const bool broken = end + 1 >= line.text.size() && line.text.back() == '-';
          if (!broken) words_.insert(std::move(word));
        });
  }
  /// Appends a line of the same paragraph.
  void append(string& text, string_view line) const {
    if (text.empty()) {
      text = line;
      return;
    }
    if (text.size() > 1 && text.ends_with("\u00AD")) {
      text.resize(text.size() - 2);
      text += line;
      return;
    }
    if (text.back() != '-' || text.size() < 2 || !is_letter(text[text.size() - 2]) || line.empty() ||
        !is_letter(line[0])) {
      if (text.back() != '-' || !is_letter(line.empty() ? ' ' : line[0])) text += ' ';
      text += line;
      return;
    }
    std::size_t begin = text.size() - 1;
    while (begin > 0 && is_letter(text[begin - 1])) --begin;
    std::size_t end = 0;
    while (end < line.size() && is_letter(line[end])) ++end;
    const string first = lower(string_view(text).substr(begin, text.size() - 1 - begin)),
                 second = lower(line.substr(0, end));
    const bool hyphenated =
        words_.contains(first + '-' + second) ||
        (!words_.contains(first + second) && words_.contains(first) && words_.contains(second) && first.size() > 2);
    if (is_lower(line[0]) && !hyphenated) text.pop_back();
    text += line;
  }

 private:
  static string lower(string_view s) {
    string out(s);
    for (char& c : out)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    return out;
  }
  std::unordered_set<string> words_{};
};

bool ends_sentence(string_view s) {
  while (!s.empty() && (s.back() == ')' || s.back() == '"' || s.back() == '\'')) s.remove_suffix(1);
  return !s.empty() && (s.back() == '.' || s.back() == '?' || s.back() == '!' || s.back() == ':');
}

bool begins_paragraph(const Line& a, const Line& b, float pitch) {
  if (b.page != a.page || b.top < a.top) {  // the next column or page
    const bool lower = !b.text.empty() && is_lower(b.text[0]);
    return !lower && ends_sentence(a.text);
  }
  const float height = std::max(a.height, b.height);
  if (b.top - a.top > 1.45F * std::max(pitch, 0.9F * height)) return true;
  if (std::abs(a.height - b.height) > 0.15F * height && a.text.size() > 3 && b.text.size() > 3) return true;
  return b.left - a.left > 0.7F * height && b.left - a.left < 5 * height && ends_sentence(a.text);
}

/// The heading of a reference list, alone in its line, with or without a number.
bool is_reference_heading(string_view s) {
  string letters;
  for (const char c : s)
    if (is_letter(c))
      letters += static_cast<char>(c | 0x20);
    else if (!is_digit(c) && c != ' ' && c != '.' && c != ':')
      return false;
  return letters == "references" || letters == "bibliography" || letters == "literaturecited" ||
         letters == "referencescited" || letters == "referencesandnotes" || letters == "viireferences" ||
         letters == "vireferences" || letters == "vreferences";
}

/// What ends a reference list.
bool is_appendix_heading(string_view s) {
  for (const string_view word : {"Appendix", "APPENDIX", "Appendices", "APPENDICES", "Supplement", "SUPPLEMENT"})
    if (s.substr(0, word.size()) == word) return s.size() < 90;
  return s.size() > 4 && s.size() < 60 && s[0] >= 'A' && s[0] <= 'H' && (s[1] == ' ' || (s[1] == '.' && s[2] == ' ')) &&
         s.find(',') == string_view::npos && !ends_sentence(s) && s[s.find(' ') + 1] >= 'A' &&
         s[s.find(' ') + 1] <= 'Z';
}

}  // namespace

PdfText layout_text(const std::vector<PdfPage>& pages) {
  std::vector<std::vector<Line>> by_page;
  for (std::size_t p = 0; p < pages.size(); ++p) by_page.push_back(segments_of(pages[p], p));
  mark_furniture(pages, by_page);
  for (std::vector<Line>& page : by_page) {
    std::erase_if(page, [](const Line& l) { return l.furniture; });
    page = reading_order(std::move(page));
    for (Line& line : page) mend_characters(line.text);
  }
  const Joiner joiner(by_page);

  std::vector<const Line*> lines;
  for (const auto& page : by_page)
    for (const Line& line : page) lines.push_back(&line);
  // The usual distance of lines, by their height in points.
  std::map<int, std::vector<float>> distances;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const float d = lines[i]->top - lines[i - 1]->top;
    if (lines[i]->page == lines[i - 1]->page && d > 0.5F * lines[i]->height && d < 3 * lines[i]->height)
      distances[static_cast<int>(lines[i]->height)].push_back(d);
  }
  std::map<int, float> pitch;
  for (auto& [height, all] : distances) {
    std::nth_element(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2), all.end());
    pitch[height] = all[all.size() / 2];
  }

  std::size_t references = lines.size(), appendix = lines.size();
  for (std::size_t i = lines.size() / 3; i < lines.size(); ++i)
    if (is_reference_heading(lines[i]->text)) references = i;
  for (std::size_t i = references + 2; i < lines.size(); ++i)
    if (is_appendix_heading(lines[i]->text) && lines[i]->height >= 1.05F * lines[references + 1]->height) {
      appendix = i;
      break;
    }

  PdfText result;
  string paragraph;
  string* into = &result.body;
  const auto finish = [&] {
    if (paragraph.empty()) return;
    if (!into->empty()) *into += "\n\n";
    *into += paragraph;
    paragraph.clear();
  };
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const Line& line = *lines[i];
    if (i == references || i == appendix) {
      finish();
      into = i == references ? &result.references : &result.body;
      if (i == references) continue;
    } else if (i > 0) {
      const auto usual = pitch.find(static_cast<int>(line.height));
      if (begins_paragraph(*lines[i - 1], line, usual == pitch.end() ? line.height : usual->second)) finish();
    }
    joiner.append(paragraph, line.text);
  }
  finish();
  return result;
}

}  // namespace eddy::extract
