#include "crawl/ids.h"

#include <algorithm>
#include <cctype>
#include <regex>

namespace eddy::crawl {
namespace {

std::string lower(std::string_view text) {
  std::string s(text);
  std::transform(s.begin(), s.end(), s.begin(), [](unsigned char c) { return std::tolower(c); });
  return s;
}
std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n"), last = text.find_last_not_of(" \t\r\n");
  return first == std::string_view::npos ? "" : std::string(text.substr(first, last - first + 1));
}

}  // namespace

std::string normal_doi(std::string_view text) {
  std::string s = lower(trimmed(text));
  for (const char* prefix : {"https://", "http://", "dx.doi.org/", "doi.org/", "www.doi.org/", "doi:"})
    if (s.starts_with(prefix)) s.erase(0, std::string_view(prefix).size());
  s = trimmed(s);
  const auto slash = s.find('/');
  if (!s.starts_with("10.") || slash == std::string::npos || slash < 7 || slash + 1 == s.size()) return "";
  const bool digits = std::all_of(s.begin() + 3, s.begin() + static_cast<std::ptrdiff_t>(slash),
                                  [](unsigned char c) { return std::isdigit(c) || c == '.'; });
  const bool clean = std::none_of(s.begin(), s.end(), [](unsigned char c) { return c <= ' ' || c == 127; });
  return digits && clean ? s : "";
}

std::optional<ArxivId> parse_arxiv(std::string_view text) {
  if (text.size() > 200) return std::nullopt;
  static const std::regex form(
      R"((?:https?://(?:www\.|export\.)?arxiv\.org/(?:abs|pdf|e-print|src)/|arxiv:|(?:https?://(?:dx\.)?doi\.org/|doi:)?10\.48550/arxiv\.)?(?:(\d{4}\.\d{4,5})|([a-z][a-z-]*)(?:\.[a-z]{2})?/(\d{7}))(?:v(\d{1,3}))?(?:\.pdf)?/?)",
      std::regex::icase | std::regex::optimize);
  std::smatch m;
  const std::string s = trimmed(text);
  if (!std::regex_match(s, m, form)) return std::nullopt;
  ArxivId id;
  id.id = m[1].matched ? m[1].str() : lower(m[2].str()) + "/" + m[3].str();
  if (m[4].matched) id.version = std::stoi(m[4].str());
  return id;
}

bool is_s2_id(std::string_view text) {
  return text.size() == 40 && std::all_of(text.begin(), text.end(),
                                          [](unsigned char c) { return std::isdigit(c) || (c >= 'a' && c <= 'f'); });
}

std::string title_key(std::string_view title) {
  std::string key;
  std::size_t words = 0, letters = 0;
  bool gap = false;
  for (std::size_t i = 0; i < title.size(); ++i) {
    const auto c = static_cast<unsigned char>(title[i]);
    if (c == '<') {  // <i>, <mml:math>: only where it closes
      const auto end = i + std::min(title.substr(i, 80).find('>'), title.size());
      if (end < title.size() && i + 1 < title.size() &&
          (std::isalpha(static_cast<unsigned char>(title[i + 1])) || title[i + 1] == '/')) {
        i = end;
        continue;
      }
    }
    if (c == '\\') {  // \emph, \alpha
      while (i + 1 < title.size() && std::isalpha(static_cast<unsigned char>(title[i + 1]))) ++i;
      continue;
    }
    if (c >= 128 || std::isalnum(c)) {
      if (gap || key.empty()) {
        if (!key.empty()) key += ' ';
        ++words;
      }
      gap = false;
      key += static_cast<char>(c < 128 ? std::tolower(c) : c);
      ++letters;
    } else if (c != '{' && c != '}' && c != '$') {
      gap = true;
    }
  }
  return words >= 3 && letters >= 15 ? key : "";
}

}  // namespace eddy::crawl
