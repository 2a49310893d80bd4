#include "extract/tex_numbers.h"

#include <algorithm>

namespace eddy::extract::tex {

using std::string;
using std::string_view;

namespace {
constexpr char kOpen = '\x01', kClose = '\x02';
constexpr std::size_t kMostCounters = 1000;  // with a step of one, those within it are set to 0
constexpr std::size_t kLongestNumber = 200;  // bytes of a \tag or an \item[...]: each reference repeats it
}  // namespace

Numbers::Numbers() {
  for (const char* name : {"part", "chapter", "section", "equation", "figure", "table", "algorithm", "listing"})
    counters_[name];
  define("subsection", "section");
  define("subsubsection", "subsection");
}

Numbers::Counter& Numbers::counter(const string& name) {
  string at = name;
  for (int i = 0; i < 8; ++i) {
    Counter& c = counters_[at];
    if (c.shared.empty()) return c;
    at = c.shared;
  }
  return counters_[at];
}

void Numbers::define(const string& name, const string& within) {
  if (name == within || counters_.size() > kMostCounters) return;
  string above = within;
  for (int i = 0; i < 8 && !above.empty(); ++i) {
    if (above == name) return;  // a circle
    above = counters_[above].within;
  }
  Counter& c = counters_[name];
  if (!c.within.empty()) std::erase(counters_[c.within].inner, name);
  c.within = within;
  if (!within.empty()) counters_[within].inner.push_back(name);
}

void Numbers::share(const string& name, const string& other) {
  if (name != other && counters_.size() <= kMostCounters) counters_[name].shared = other;
}

void Numbers::use_chapters() {
  for (const char* name : {"section", "equation", "figure", "table"})
    if (counters_[name].within.empty()) define(name, "chapter");
}

void Numbers::reset_inner(const Counter& c, int depth) {
  if (depth > 8) return;
  for (const string& name : c.inner) {
    Counter& inner = counters_[name];
    inner.value = 0;
    reset_inner(inner, depth + 1);
  }
}

string Numbers::print(const Counter& c, int depth) const {
  const string own = c.letters && c.value >= 1 && c.value <= 26 ? string(1, static_cast<char>('A' + c.value - 1))
                                                                : std::to_string(c.value);
  const auto outer = c.within.empty() || depth > 8 ? counters_.end() : counters_.find(c.within);
  if (outer == counters_.end() || outer->second.value == 0) return own;
  return print(outer->second, depth + 1) + '.' + own;
}

string Numbers::step(const string& name, const string& kind) {
  Counter& c = counter(name);
  ++c.value;
  reset_inner(c, 0);
  current_ = {print(c, 0), kind.size() <= kLongestNumber ? kind : ""};
  return current_.number;
}

void Numbers::step_back(const string& name) {
  Counter& c = counter(name);
  if (c.value > 0) --c.value;
}

void Numbers::set_current(string number, string kind) {
  if (number.size() > kLongestNumber) number.clear();
  current_ = {std::move(number), std::move(kind)};
}

void Numbers::letters(const string& name) {
  Counter& c = counter(name);
  c.letters = true;
  c.value = 0;
}

string Numbers::reference(char how, string_view label) {
  string out{kOpen, how};
  out += label;
  out += kClose;
  return out;
}

void Numbers::resolve(string& text) const {
  for (int i = 0; i < 3 && text.find(kOpen) != string::npos; ++i) resolve_once(text);  // \tag{\ref{…}}
}

void Numbers::resolve_once(string& text) const {
  string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t open = std::min(text.find(kOpen, i), text.size());
    out.append(text, i, open - i);
    const std::size_t close = text.find(kClose, open);
    if (open == text.size()) break;
    if (close == string::npos || close < open + 2) {
      i = open + 1;
      continue;
    }
    const auto found = labels_.find(string_view(text).substr(open + 2, close - open - 2));
    const string number = found == labels_.end() || found->second.number.empty() ? "??" : found->second.number;
    const string kind = found == labels_.end() ? "" : found->second.kind;
    const char how = text[open + 1];
    if (how == 'e' || (how == 'c' && kind == "Equation")) {
      out += '(' + number + ')';
    } else {
      if (how == 'c' && !kind.empty()) out += kind + ' ';
      out += number;
    }
    i = close + 1;
  }
  text = std::move(out);
}

string Numbers::citation(const string& key) {
  const int next = static_cast<int>(citations_.size()) + 1;
  return std::to_string(citations_.try_emplace(key, next).first->second);
}

}  // namespace eddy::extract::tex
