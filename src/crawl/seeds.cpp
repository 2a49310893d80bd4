#include "crawl/seeds.h"

#include <algorithm>
#include <cctype>
#include <map>

#include "base/error.h"
#include "crawl/ids.h"
#include "io/file.h"

namespace eddy::crawl {
namespace {

std::string lower(std::string s) {
  std::transform(s.begin(), s.end(), s.begin(), [](unsigned char c) { return std::tolower(c); });
  return s;
}

/// One entry's text from behind its '{' on. Reads `name = value` pairs; a value is {…} with braces inside, "…", or a
/// word.
class EntryReader {
 public:
  EntryReader(const std::string& text, std::size_t at) : text_(text), at_(at) {}

  std::map<std::string, std::string> fields() {
    std::map<std::string, std::string> fields;
    skip_until(',');  // the entry's key
    while (at_ < text_.size()) {
      ++at_;
      blanks();
      std::string name;
      while (at_ < text_.size() &&
             (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_' || text_[at_] == '-'))
        name += text_[at_++];
      blanks();
      if (at_ >= text_.size() || text_[at_] != '=' || name.empty()) break;
      ++at_;
      fields.emplace(lower(name), value());
      blanks();
      if (at_ >= text_.size() || text_[at_] != ',') break;
    }
    return fields;
  }

 private:
  void blanks() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  void skip_until(char stop) {
    while (at_ < text_.size() && text_[at_] != stop && text_[at_] != '}' && text_[at_] != '@') ++at_;
  }
  std::string value() {
    std::string out;
    for (;;) {  // parts joined by '#'
      blanks();
      if (at_ < text_.size() && (text_[at_] == '{' || text_[at_] == '"')) {
        out += quoted(text_[at_]);
      } else {
        while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])))) out += text_[at_++];
      }
      blanks();
      if (at_ >= text_.size() || text_[at_] != '#') return one_line(out);
      ++at_;
    }
  }
  std::string quoted(char open) {
    std::string out;
    int depth = 0;
    for (++at_; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (depth == 0 && c == (open == '{' ? '}' : '"')) {
        ++at_;
        return out;
      }
      if (c == '{') ++depth;
      if (c == '}') --depth;
      if (c != '{' && c != '}') out += c;
    }
    return out;
  }
  const std::string& text_;
  std::size_t at_;
};

}  // namespace

std::vector<Paper> parse_bibtex(const std::string& text) {
  std::vector<Paper> papers;
  for (std::size_t at = text.find('@'); at != std::string::npos; at = text.find('@', at + 1)) {
    std::size_t open = at + 1;
    while (open < text.size() && std::isalpha(static_cast<unsigned char>(text[open]))) ++open;
    const std::string type = lower(text.substr(at + 1, open - at - 1));
    while (open < text.size() && std::isspace(static_cast<unsigned char>(text[open]))) ++open;
    if (open >= text.size() || text[open] != '{' || type.empty() || type == "comment" || type == "string" ||
        type == "preamble")
      continue;
    const auto fields = EntryReader(text, open + 1).fields();
    const auto get = [&](const char* name) {
      const auto f = fields.find(name);
      return f == fields.end() ? std::string() : f->second;
    };
    Paper p;
    p.doi = normal_doi(get("doi"));
    if (const auto id = parse_arxiv(p.doi)) {
      p.arxiv = id->id;
      p.doi.clear();
    }
    const std::string prefix = lower(get("archiveprefix") + get("eprinttype"));
    if (prefix.empty() || prefix == "arxiv")
      if (const auto id = parse_arxiv(get("eprint"))) p.arxiv = id->id;
    if (p.arxiv.empty())
      if (const auto id = parse_arxiv(get("url"))) p.arxiv = id->id;
    p.title = get("title");
    p.year = year_of(get("year"));
    if (!p.id().empty() || !p.title.empty()) papers.push_back(std::move(p));
  }
  return papers;
}

std::vector<Paper> read_seeds(const std::vector<std::string>& from) {
  std::vector<Paper> seeds;
  for (const std::string& word : from) {
    Paper p;
    if (word.ends_with(".bib")) {
      const auto entries = parse_bibtex(io::read_file(word));
      if (entries.empty()) fail_input("{}: holds no BibTeX entry with a DOI, an arXiv id or a title", word);
      seeds.insert(seeds.end(), entries.begin(), entries.end());
      continue;
    }
    if (const auto id = parse_arxiv(word))
      p.arxiv = id->id;
    else if (is_s2_id(word))
      p.s2 = word;
    else
      p.doi = normal_doi(word);
    if (p.id().empty())
      fail_input(
          "--from {}: neither an arXiv id (2101.00001), a DOI (10.…/…), a Semantic Scholar id (40 hexadecimal "
          "digits) nor a *.bib file",
          word);
    seeds.push_back(std::move(p));
  }
  return seeds;
}

}  // namespace eddy::crawl
