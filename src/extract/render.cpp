#include "extract/render.h"

#include <algorithm>

namespace eddy::extract {
namespace {

using std::string;

string capitalised(string s) {
  if (!s.empty() && s[0] >= 'a' && s[0] <= 'z') s[0] = static_cast<char>(s[0] - 32);
  return s;
}
string numbered(string s, const string& number) {
  if (!number.empty()) s += (s.empty() ? "" : " ") + number;
  return s;
}

}  // namespace

string render(const Block& b) {
  switch (b.kind) {
    case BlockKind::heading:
      return string(static_cast<std::size_t>(std::clamp(b.level, 0, 4)) + 1, '#') + ' ' +
             (b.number.empty() ? "" : b.number + ' ') + b.text;
    case BlockKind::item: {
      const string mark = !b.title.empty() ? b.title : b.number.empty() ? "-" : b.number + '.';
      return string(static_cast<std::size_t>(std::clamp(b.level - 1, 0, 8)) * 2, ' ') + mark + ' ' + b.text;
    }
    case BlockKind::theorem:
    case BlockKind::proof: {
      const string name =
          numbered(b.name.empty() ? (b.kind == BlockKind::proof ? "Proof" : "Theorem") : capitalised(b.name), b.number);
      return name + (b.title.empty() ? ". " : " (" + b.title + "). ") + b.text;
    }
    case BlockKind::caption: {
      const string name = numbered(capitalised(b.name), b.number);
      return (name.empty() ? "" : name + ": ") + b.text;
    }
    case BlockKind::equation: {
      const std::size_t end = b.text.rfind("$$");
      if (b.label.empty() || b.number.empty() || end == string::npos || end < 2) return b.text;
      return b.text.substr(0, end) + " \\tag{" + b.number + "}$$";
    }
    case BlockKind::code:
      return "```\n" + b.text + "\n```";
    default:
      return b.text;
  }
}

string Article::text() const {
  string out;
  const auto add = [&](const string& piece, const char* gap) {
    if (piece.empty()) return;
    if (!out.empty()) out += gap;
    out += piece;
  };
  if (!title.empty()) add("# " + title, "\n\n");
  if (!abstract.empty()) add("## Abstract\n\n" + abstract, "\n\n");
  bool after_item = false;
  for (const Block& b : blocks) {
    const bool item = b.kind == BlockKind::item;
    add(render(b), item && after_item ? "\n" : "\n\n");
    after_item = item;
  }
  if (!out.empty()) out += '\n';
  return out;
}

}  // namespace eddy::extract
