#include "text/mask.h"

#include <algorithm>
#include <array>

namespace eddy::text {
namespace {

constexpr std::array<std::string_view, 16> kDisplays{
    "equation", "equation*", "align",   "align*",   "eqnarray",    "eqnarray*", "gather",  "gather*",
    "multline", "multline*", "alignat", "alignat*", "displaymath", "math",      "flalign", "flalign*"};

/// Where the mathematics that begins at `at` ends; `at` when none does.
std::size_t mathematics_end(std::string_view s, std::size_t at) {
  const auto after = [&](std::string_view close, std::size_t from) {
    const std::size_t end = s.find(close, from);
    return end == std::string_view::npos ? at : end + close.size();
  };
  if (s.substr(at, 2) == "$$") return after("$$", at + 2);
  if (s[at] == '$') {
    for (std::size_t i = at + 1; i < s.size(); ++i) {
      if (s[i] == '\\') {
        ++i;
      } else if (s[i] == '$') {
        return i + 1;
      } else if (s[i] == '\n' && i + 1 < s.size() && s[i + 1] == '\n') {
        break;
      }
    }
    return at;
  }
  if (s.substr(at, 2) == "\\[") return after("\\]", at + 2);
  if (s.substr(at, 2) == "\\(") return after("\\)", at + 2);
  constexpr std::string_view begin = "\\begin{";
  if (!s.substr(at).starts_with(begin)) return at;
  const std::size_t name_at = at + begin.size(), brace = s.find('}', name_at);
  if (brace == std::string_view::npos) return at;
  const std::string_view name = s.substr(name_at, brace - name_at);
  if (std::find(kDisplays.begin(), kDisplays.end(), name) == kDisplays.end()) return at;
  return after("\\end{" + std::string(name) + "}", brace);
}

bool in_local(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
         c == '-' || c == '+' || c == '%';
}
bool in_host(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
}

/// The end of a host name with a dot and a top-level domain of letters, from `at`; `at` when there is none.
std::size_t host_end(std::string_view s, std::size_t at) {
  std::size_t end = at;
  while (end < s.size() && in_host(s[end])) ++end;
  while (end > at && (s[end - 1] == '.' || s[end - 1] == '-')) --end;  // the sentence's full stop
  const std::size_t dot = s.substr(at, end - at).rfind('.');
  if (dot == std::string_view::npos || dot == 0) return at;
  const std::string_view top = s.substr(at + dot + 1, end - at - dot - 1);
  const bool letters = std::all_of(top.begin(), top.end(), [](char c) { return in_host(c) && c > '9'; });
  return top.size() >= 2 && letters ? end : at;
}

}  // namespace

std::string without_mathematics(std::string_view s) {
  std::string out;
  out.reserve(s.size());
  std::size_t from = 0;
  for (std::size_t i = 0; i < s.size();) {
    if (s[i] != '$' && s[i] != '\\') {
      ++i;
      continue;
    }
    const std::size_t end = mathematics_end(s, i);
    if (end > i) {
      out.append(s, from, i - from);
      out += ' ';
      from = i = end;
    } else {
      i += s[i] == '\\' ? 2 : 1;
    }
  }
  if (from < s.size()) out.append(s, from, s.size() - from);
  return out;
}

std::uint64_t mask_emails(std::string& text) {
  std::string out;
  std::uint64_t found = 0;
  std::size_t from = 0;  // what comes before is in `out`
  for (std::size_t at = text.find('@'); at != std::string::npos; at = text.find('@', at + 1)) {
    std::size_t begin = at;
    if (begin > from && text[begin - 1] == '}') {  // {one, two}@host
      const std::size_t open = text.rfind('{', begin);
      if (open != std::string::npos && open >= from && begin - open < 200 && text.find('\n', open) > begin &&
          text.find('$', open) > begin)
        begin = open - (open > from && text[open - 1] == '\\');
    } else {
      while (begin > from && in_local(text[begin - 1])) --begin;
      while (begin < at && text[begin] == '.') ++begin;
    }
    const std::size_t end = begin == at ? at + 1 : host_end(text, at + 1);
    if (end == at + 1) continue;
    out.append(text, from, begin - from);
    out += "[email]";
    from = end;
    at = end - 1;
    ++found;
  }
  if (found > 0) {
    out.append(text, from);
    text = std::move(out);
  }
  return found;
}

}  // namespace eddy::text
