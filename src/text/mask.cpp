#include "text/mask.h"

#include <algorithm>
#include <array>
#include <set>

namespace eddy::text {
namespace {

constexpr std::array<std::string_view, 16> kDisplays{
    "equation", "equation*", "align",   "align*",   "eqnarray",    "eqnarray*", "gather",  "gather*",
    "multline", "multline*", "alignat", "alignat*", "displaymath", "math",      "flalign", "flalign*"};

/// Finds where mathematics ends.
class Mathematics {
 public:
  explicit Mathematics(std::string_view s) : s_(s) {}
  /// Past the end of what begins at `at`; `at` when nothing does, or it has no end.
  std::size_t end(std::size_t at);

 private:
  std::size_t after(std::string_view close, std::size_t from, std::size_t at);
  std::string_view s_;
  std::set<std::string, std::less<>> absent_{};  ///< what stands nowhere behind: not looked for again
};

std::size_t Mathematics::after(std::string_view close, std::size_t from, std::size_t at) {
  if (absent_.contains(close)) return at;
  const std::size_t end = s_.find(close, from);
  if (end != std::string_view::npos) return end + close.size();
  absent_.emplace(close);
  return at;
}

std::size_t Mathematics::end(std::size_t at) {
  if (s_.substr(at, 2) == "$$") return after("$$", at + 2, at);
  if (s_[at] == '$') {
    for (std::size_t i = at + 1; i < s_.size(); ++i) {
      if (s_[i] == '\\') {
        ++i;
      } else if (s_[i] == '$') {
        return i + 1;
      } else if (s_[i] == '\n' && i + 1 < s_.size() && s_[i + 1] == '\n') {
        break;
      }
    }
    return at;
  }
  if (s_.substr(at, 2) == "\\[") return after("\\]", at + 2, at);
  if (s_.substr(at, 2) == "\\(") return after("\\)", at + 2, at);
  constexpr std::string_view begin = "\\begin{";
  if (!s_.substr(at).starts_with(begin)) return at;
  const std::string_view rest = s_.substr(at + begin.size(), 16);
  const std::string_view name = rest.substr(0, rest.find('}'));
  if (std::find(kDisplays.begin(), kDisplays.end(), name) == kDisplays.end()) return at;
  return after("\\end{" + std::string(name) + "}", at + begin.size() + name.size(), at);
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
  Mathematics mathematics(s);
  std::size_t from = 0;
  for (std::size_t i = 0; i < s.size();) {
    if (s[i] != '$' && s[i] != '\\') {
      ++i;
      continue;
    }
    const std::size_t end = mathematics.end(i);
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
      const std::size_t first = std::max(from, begin - std::min<std::size_t>(begin, 200));
      const std::string_view near = std::string_view(text).substr(first, begin - first);
      const std::size_t open = near.rfind('{');
      if (open != std::string_view::npos && near.find_first_of("\n$", open) == std::string_view::npos) {
        begin = first + open;
        if (begin > from && text[begin - 1] == '\\') --begin;
      }
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
