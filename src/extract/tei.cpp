#include "extract/tei.h"

#include <algorithm>
#include <pugixml.hpp>

namespace eddy::extract {
namespace {

using pugi::xml_node;
using std::string;
using std::string_view;

constexpr int kDeepest = 100;  // elements within each other; GROBID's own are some ten

/// The element's name without a namespace's prefix.
string_view name_of(const xml_node& node) {
  const string_view name = node.name();
  const std::size_t colon = name.find(':');
  return colon == string_view::npos ? name : name.substr(colon + 1);
}
xml_node child(const xml_node& node, string_view name) {
  return node.find_child([&](const xml_node& c) { return name_of(c) == name; });
}

struct TooDeep : pugi::xml_tree_walker {
  bool for_each(xml_node&) override { return depth() < kDeepest; }
};

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
/// Runs of white space become one blank; none stands at the ends.
string squeezed(string_view text) {
  string out;
  for (const char c : text) {
    if (!is_blank(c))
      out += c;
    else if (!out.empty() && out.back() != ' ')
      out += ' ';
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

void collect(const xml_node& node, string& out) {
  for (const xml_node& c : node.children()) {
    if (c.type() == pugi::node_pcdata || c.type() == pugi::node_cdata) {
      out += c.value();
    } else if (c.type() == pugi::node_element) {
      const string_view name = name_of(c);
      if (name == "ref" && string_view(c.attribute("type").value()) == "foot")
        continue;  // its text is a mark, or an id
      if (name == "table" || name == "listBibl" || name == "graphic") continue;
      // References and highlights stand within words' lines; what else there is stands apart.
      const bool inline_one = name == "ref" || name == "hi" || name == "rs";
      if (!inline_one) out += ' ';
      collect(c, out);
      if (!inline_one) out += ' ';
    }
  }
}
/// All text in it.
string text_of(const xml_node& node) {
  string out;
  collect(node, out);
  return squeezed(out);
}

/// "Figure 2 . The flow" → "The flow"; `number` takes the 2 where it is empty.
string without_label(const string& text, string& number) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  string word;
  std::size_t at = 0;
  for (; at < text.size() && letter(text[at]); ++at)
    word += static_cast<char>(text[at] >= 'A' && text[at] <= 'Z' ? text[at] + 32 : text[at]);
  if (word != "fig" && word != "figure" && word != "figures" && word != "tab" && word != "table") return text;
  while (at < text.size() && (text[at] == ' ' || text[at] == '.')) ++at;
  std::size_t end = at;
  while (end < text.size() && (letter(text[end]) || digit(text[end]) || text[end] == '.' || text[end] == '-')) ++end;
  string found = text.substr(at, end - at);
  while (!found.empty() && (found.back() == '.' || found.back() == '-')) found.pop_back();
  // "Table of contents" has no number; Roman ones do.
  const bool numbered = std::any_of(found.begin(), found.end(), digit) ||
                        (!found.empty() && found.find_first_not_of("IVXLC") == string::npos);
  if (!numbered) return text;
  if (number.empty()) number = found;
  while (end < text.size() && (text[end] == ' ' || text[end] == '.' || text[end] == ':')) ++end;
  return text.substr(end);
}

class Reader {
 public:
  explicit Reader(Article& article) : article_(article) {}

  /// The children of a division, or of the body. `depth` counts the divisions around them.
  void division(const xml_node& node, int depth) {
    for (const xml_node& c : node.children()) {
      if (c.type() == pugi::node_pcdata || c.type() == pugi::node_cdata) {
        paragraph(squeezed(c.value()));
        continue;
      }
      const string_view name = name_of(c);
      if (name == "head") {
        heading(c, depth);
      } else if (name == "div") {
        if (string_view(c.attribute("type").value()) != "references") division(c, depth + 1);
      } else if (name == "list") {
        for (const xml_node& item : c.children())
          if (name_of(item) == "item") add({.kind = BlockKind::item, .level = 1, .text = text_of(item)});
      } else if (name == "figure") {
        caption(c);
      } else if (name != "listBibl" && name != "biblStruct" && name != "listOrg" && name != "table" &&
                 name != "graphic") {
        paragraph(text_of(c));  // p, formula with its label, note
      }
    }
  }

 private:
  void add(Block block) {
    if (!block.text.empty()) article_.blocks.push_back(std::move(block));
  }
  void paragraph(string text) { add({.kind = BlockKind::paragraph, .text = std::move(text)}); }

  /// <head n="2.1.">Title</head>: its depth is that of its number. Divisions of GROBID's do not stand in each other.
  void heading(const xml_node& node, int depth) {
    string number = squeezed(node.attribute("n").value());
    while (number.ends_with('.')) number.pop_back();
    const int dots = static_cast<int>(std::count(number.begin(), number.end(), '.'));
    add({.kind = BlockKind::heading, .level = std::max({1, depth, dots + 1}), .number = number, .text = text_of(node)});
  }

  void caption(const xml_node& node) {
    const bool table = string_view(node.attribute("type").value()) == "table";
    string number = text_of(child(node, "label"));
    if (number.size() > 12 || number.find(' ') != string::npos) number.clear();
    const string head = without_label(text_of(child(node, "head")), number),
                 rest = without_label(text_of(child(node, "figDesc")), number);
    add({.kind = BlockKind::caption,
         .name = table ? "table" : "figure",
         .number = number,
         .text = head + (head.empty() || rest.empty() ? "" : " ") + rest});
  }

  Article& article_;
};

ArticleOutcome reject(const char* why, string more = "") {
  return {.outcome = Outcome::reject(why, std::move(more))};
}

}  // namespace

ArticleOutcome article_of_tei(string_view xml) {
  pugi::xml_document document;
  // Blanks between two references matter; a DOCTYPE is looked for, and pugixml knows no entities but XML's own.
  const auto parsed =
      document.load_buffer(xml.data(), xml.size(), pugi::parse_default | pugi::parse_ws_pcdata | pugi::parse_doctype);
  if (parsed.status == pugi::status_out_of_memory) throw std::bad_alloc();
  if (!parsed) return reject("not XML", parsed.description());
  for (const xml_node& c : document.children())
    if (c.type() == pugi::node_doctype) return reject("not TEI", "it has a DOCTYPE");
  const xml_node root = document.document_element();
  if (name_of(root) != "TEI") return reject("not TEI", "its first element is " + string(root.name()).substr(0, 60));
  TooDeep walker;
  if (!document.traverse(walker)) return reject("TEI: nested too deeply");

  Article article;
  const xml_node header = child(root, "teiHeader"), text = child(root, "text");
  article.title = text_of(child(child(child(header, "fileDesc"), "titleStmt"), "title"));
  Article abstract;
  Reader(abstract).division(child(child(header, "profileDesc"), "abstract"), 0);
  for (const Block& b : abstract.blocks) article.abstract += (article.abstract.empty() ? "" : "\n\n") + b.text;
  Reader reader(article);
  reader.division(child(text, "body"), 0);
  reader.division(child(text, "back"), 0);
  if (article.blocks.empty()) return reject("TEI: no text");
  return finished(std::move(article));
}

}  // namespace eddy::extract
