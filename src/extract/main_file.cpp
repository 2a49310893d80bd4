#include "extract/main_file.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <sstream>

#include "extract/source_scan.h"

namespace eddy::extract {
namespace {

using std::string;
using std::string_view;

string lower(string_view s) {
  string out(s);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}
string_view base_name(string_view name) {
  const std::size_t slash = name.rfind('/');
  return slash == string_view::npos ? name : name.substr(slash + 1);
}
string extension(string_view name) {
  const string_view base = base_name(name);
  const std::size_t dot = base.rfind('.');
  return dot == string_view::npos ? string() : lower(base.substr(dot));
}

/// What a 00README says.
struct Readme {
  std::vector<string> top{}, ignored{};
};

void read_json(const string& bytes, Readme& readme) {
  const auto j = nlohmann::json::parse(bytes, nullptr, false);
  if (!j.is_object() || !j.contains("sources") || !j["sources"].is_array()) return;
  for (const auto& source : j["sources"]) {
    if (!source.is_object() || !source.contains("filename") || !source["filename"].is_string()) continue;
    const string usage =
        source.contains("usage") && source["usage"].is_string() ? source["usage"].get<string>() : "toplevel";
    if (usage == "toplevel") readme.top.push_back(source["filename"]);
    if (usage == "ignore") readme.ignored.push_back(source["filename"]);
  }
}

string unquoted(string s) {
  while (!s.empty() && (s.back() == ' ' || s.back() == '\r' || s.back() == '\t')) s.pop_back();
  s.erase(0, std::min(s.find_first_not_of(" \t"), s.size()));
  if (s.size() > 1 && (s[0] == '"' || s[0] == '\'') && s.back() == s[0]) s = s.substr(1, s.size() - 2);
  return s;
}

/// The one form that arXiv writes: a list of `filename:` and `usage:` below `sources:`.
void read_yaml(const string& bytes, Readme& readme) {
  std::istringstream lines(bytes);
  bool in_sources = false;
  string name, usage = "toplevel";
  const auto finish = [&] {
    if (!name.empty()) (usage == "ignore" ? readme.ignored : readme.top).push_back(name);
    if (!name.empty() && usage != "ignore" && usage != "toplevel") readme.top.pop_back();
    name.clear();
    usage = "toplevel";
  };
  for (string line; std::getline(lines, line);) {
    if (!line.empty() && line[0] != ' ' && line[0] != '-' && line[0] != '#')
      in_sources = line.substr(0, 8) == "sources:";
    if (!in_sources) continue;
    string entry = unquoted(line);
    if (entry.substr(0, 2) == "- ") {
      finish();
      entry = unquoted(entry.substr(2));
    }
    if (entry.substr(0, 9) == "filename:") name = unquoted(entry.substr(9));
    if (entry.substr(0, 6) == "usage:") usage = unquoted(entry.substr(6));
  }
  finish();
}

/// "FILE toplevelfile" and "FILE ignore", a line each.
void read_xxx(const string& bytes, Readme& readme) {
  std::istringstream lines(bytes);
  for (string line; std::getline(lines, line);) {
    std::istringstream words(line);
    string name, word;
    words >> name;
    while (words >> word) {
      if (lower(word) == "toplevelfile") readme.top.push_back(name);
      if (lower(word) == "ignore") readme.ignored.push_back(name);
    }
  }
}

Readme read_readme(const std::vector<ArchiveFile>& files) {
  Readme readme;
  for (const ArchiveFile& f : files) {
    const string name = lower(f.name);
    if (name.substr(0, 9) != "00readme.") continue;
    if (name == "00readme.json") read_json(f.bytes, readme);
    if (name == "00readme.yaml" || name == "00readme.yml") read_yaml(f.bytes, readme);
    if (name == "00readme.xxx" || name == "00readme.txt") read_xxx(f.bytes, readme);
  }
  return readme;
}

/// What a source looks like from outside.
struct Source {
  std::size_t file = 0;
  bool document_class = false;  ///< it has \documentclass or \documentstyle (not of `subfiles`, `standalone`)
  bool document = false;        ///< it has \begin{document}
  bool plain = false;           ///< it ends as plain TeX does, or loads one of its formats
  bool macros = false;
  std::vector<string> inputs{};
};

bool has_word(string_view s, string_view word) {
  for (std::size_t i = s.find(word); i != string_view::npos; i = s.find(word, i + 1)) {
    const char next = i + word.size() < s.size() ? s[i + word.size()] : ' ';
    if (!((next >= 'a' && next <= 'z') || (next >= 'A' && next <= 'Z'))) return true;
  }
  return false;
}

bool is_part_class(string_view s, std::size_t at) {
  const std::size_t open = s.find('{', at), close = s.find('}', at);
  if (open == string_view::npos || close == string_view::npos || close < open) return false;
  const string_view name = s.substr(open + 1, close - open - 1);
  return name == "subfiles" || name == "standalone";
}

Source look(const string& bytes, std::size_t file) {
  const string s = strip_comments(bytes);
  Source source{.file = file};
  for (const string_view word : {"\\documentclass", "\\documentstyle"}) {
    const std::size_t at = s.find(word);
    if (at != string::npos && !is_part_class(s, at)) source.document_class = true;
  }
  source.document = has_document(s);
  source.plain = has_word(s, "\\bye") || document_body(s).size() != s.size() || has_word(s, "\\magnification") ||
                 has_word(s, "\\input harvmac") || has_word(s, "\\input amstex") || has_word(s, "\\input phyzzx");
  if (source.document) source.plain = false;
  source.macros = is_macro_file(s);
  source.inputs = input_names(s);
  return source;
}

bool is_source(const ArchiveFile& f) {
  const string_view base = base_name(f.name);
  const string name = lower(f.name), ending = extension(f.name);
  if (name.substr(0, 4) == "anc/" || base.substr(0, 2) == "._" || name.substr(0, 9) == "00readme.") return false;
  if (ending == ".tex" || ending == ".ltx" || ending == ".latex" || f.name.empty()) return true;
  constexpr std::array<string_view, 16> others{".sty", ".cls",  ".bst", ".bbl", ".bib", ".clo", ".def", ".cfg",
                                               ".fd",  ".tikz", ".aux", ".log", ".out", ".toc", ".pdf", ".txt"};
  if (std::find(others.begin(), others.end(), ending) != others.end()) return false;
  const string_view head = string_view(f.bytes).substr(0, 1 << 16);  // by its contents: names are free
  return has_word(head, "\\documentclass") || has_word(head, "\\documentstyle") || has_word(head, "\\bye") ||
         has_word(head, "\\begin{document}") || has_word(head, "\\magnification") || has_word(head, "\\section");
}

bool auto_ignored(const string& bytes) {
  const std::size_t first = bytes.find_first_not_of(" \t\r\n");
  return first != string::npos && string_view(bytes).substr(first, 12) == "%auto-ignore";
}

}  // namespace

ArchiveIndex::ArchiveIndex(const std::vector<ArchiveFile>& files) {
  for (std::size_t i = 0; i < files.size(); ++i) index_.try_emplace(files[i].name, i);
}

std::optional<std::size_t> ArchiveIndex::file(const string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<std::size_t> ArchiveIndex::input(const string& name) const {
  for (const string& candidate : {name + ".tex", name}) {
    const string path = safe_name(candidate);
    if (path.empty()) continue;
    if (const auto found = file(path)) return found;
  }
  return std::nullopt;
}

MainFiles find_main_files(const std::vector<ArchiveFile>& files) {
  const Readme readme = read_readme(files);
  const ArchiveIndex index(files);
  MainFiles result;
  std::vector<bool> taken(files.size(), false), left_out(files.size(), false);
  for (const string& name : readme.top) {
    const auto i = name.empty() ? std::nullopt : index.file(safe_name(name));
    if (!i || taken[*i]) continue;
    taken[*i] = true;
    result.files.push_back(*i);
  }
  if (!result.files.empty()) return result;
  for (const string& name : readme.ignored)
    if (const auto i = index.file(safe_name(name))) left_out[*i] = true;

  std::vector<Source> sources;
  bool ignored = false;
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (!is_source(files[i])) continue;
    if (auto_ignored(files[i].bytes)) {
      ignored = true;
    } else if (!left_out[i]) {
      sources.push_back(look(files[i].bytes, i));
    }
  }
  if (sources.empty()) {
    result.reason = ignored ? "sources: withdrawn (%auto-ignore)" : "sources: no TeX file";
    return result;
  }
  std::vector<bool> drawn_in(files.size(), false);
  for (const Source& s : sources)
    for (const string& name : s.inputs)
      if (const auto f = index.input(name); f && *f != s.file) drawn_in[*f] = true;
  const auto take = [&](const auto& fits) {
    for (const Source& s : sources)
      if (fits(s)) result.files.push_back(s.file);
    std::sort(result.files.begin(), result.files.end(),
              [&](std::size_t a, std::size_t b) { return files[a].name < files[b].name; });
    return !result.files.empty();
  };
  if (take([&](const Source& s) { return s.document_class && s.document && !drawn_in[s.file]; })) return result;
  if (take([&](const Source& s) { return (s.document_class || s.document) && !drawn_in[s.file]; })) return result;
  if (take([&](const Source& s) { return s.plain && !s.macros && !drawn_in[s.file]; })) return result;
  if (take([&](const Source& s) { return !s.macros && !drawn_in[s.file]; })) return result;
  if (take([&](const Source& s) { return !s.macros; })) return result;
  result.reason = "sources: macros, no text";
  return result;
}

}  // namespace eddy::extract
