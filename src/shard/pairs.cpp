#include "shard/pairs.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/rng.h"
#include "io/file.h"
#include "text/words.h"

namespace eddy::shard {
namespace fs = std::filesystem;
using extract::Block;
using extract::BlockKind;
namespace {

using Names = std::set<std::string, std::less<>>;
const Names kCommon{"title", "authors", "abstract", "field"};
const std::map<DocKind, Names> kFields{{DocKind::abstract, {}},
                                       {DocKind::summary, {"introduction"}},
                                       {DocKind::section, {"heading", "text"}},
                                       {DocKind::definition, {"term", "statement"}},
                                       {DocKind::theorem, {"name", "heading", "statement", "proof"}},
                                       {DocKind::equation, {"before", "equation", "after"}}};

std::size_t count_words(std::string_view text) {
  std::vector<std::uint64_t> words;
  text::word_hashes(text, words);
  return words.size();
}

bool is_name(std::string_view s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

/// Calls literal(text) and field(name) for the pieces of a template.
template <class L, class F>
void walk(std::string_view text, L literal, F field) {
  std::size_t from = 0;
  for (std::size_t open = text.find('{'); open != std::string_view::npos; open = text.find('{', open + 1)) {
    const std::size_t close = text.find('}', open);
    if (close == std::string_view::npos || !is_name(text.substr(open + 1, close - open - 1))) continue;
    literal(text.substr(from, open - from));
    field(text.substr(open + 1, close - open - 1));
    from = close + 1;
  }
  literal(text.substr(from));
}

/// The template with its fields filled in; nothing when one of them is empty.
template <class Fields>
std::optional<std::string> fill(std::string_view text, const Fields& fields) {
  std::string out;
  bool whole = true;
  walk(
      text, [&](std::string_view s) { out += s; },
      [&](std::string_view name) {
        const auto found = fields.find(name);
        if (found == fields.end() || found->second.empty())
          whole = false;
        else
          out += found->second;
      });
  return whole ? std::optional(out) : std::nullopt;
}

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& n : names) out += (out.empty() ? "" : ", ") + n;
  return out;
}

/// What a definition defines: its title, else the first emphasised words in it.
std::string defined_term(const Block& b) {
  if (!b.title.empty()) return b.title;
  for (const std::string_view open : {"\\emph{", "\\textit{", "\\textbf{", "*"}) {
    const std::size_t at = b.text.find(open);
    if (at == std::string::npos) continue;
    const std::size_t begin = at + open.size(), end = b.text.find(open == "*" ? '*' : '}', begin);
    if (end != std::string::npos && end > begin && end - begin < 80) return b.text.substr(begin, end - begin);
  }
  return "";
}

std::string lower(std::string s) {
  std::transform(s.begin(), s.end(), s.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return s;
}
bool is_definition(const Block& b) {
  return b.kind == BlockKind::theorem && lower(b.name).starts_with("def");
}
bool is_claim(const Block& b) {
  static const Names claims{"theorem", "lemma", "proposition", "corollary", "claim", "fact", "conjecture"};
  return b.kind == BlockKind::theorem && claims.contains(lower(b.name));
}

}  // namespace

fs::path default_templates() {
  const fs::path leaf = fs::path("configs") / "corpus" / "templates.json";
  std::error_code none;
  if (fs::exists(leaf, none)) return leaf;
  for (fs::path folder = fs::read_symlink("/proc/self/exe", none).parent_path(); !none && folder.has_relative_path();
       folder = folder.parent_path())
    if (fs::exists(folder / leaf, none)) return folder / leaf;
  return {};
}

PairMaker::PairMaker(const PairOptions& options) : options_(options) {
  const fs::path path = options.templates.empty() ? default_templates() : fs::path(options.templates);
  if (path.empty() && options.kinds.empty()) return;
  if (path.empty())
    fail_input("configs/corpus/templates.json is neither here nor above this program: name a file by pairs.templates");
  const auto j = parse_json<nlohmann::ordered_json>(io::read_file(path), path.string());
  if (!j.is_object()) fail_input("{}: not an object of templates", path.string());
  std::map<DocKind, std::vector<Template>> all;
  for (const auto& [name, list] : j.items()) {
    const auto kind = name == "own" ? DocKind::pair : kind_named(name);
    if (!kind || (!kFields.contains(*kind) && name != "own"))
      fail_input(
          "{}: '{}' is no kind of pair; there are abstract, summary, section, definition, theorem, equation, own",
          path.string(), name);
    if (!list.is_array()) fail_input("{}: {}: not a list of templates", path.string(), name);
    for (const auto& t : list) {
      Template made;
      for (const auto& [key, text] : t.items()) {
        std::string* to = key == "prompt"     ? &made.prompt
                          : key == "response" ? &made.response
                          : key == "think"    ? &made.think
                                              : nullptr;
        if (!to || !text.is_string())
          fail_input("{}: {}: a template has the texts prompt, response and think; not '{}'", path.string(), name, key);
        *to = text.get<std::string>();
        walk(
            *to, [](std::string_view) {},
            [&, &name = name](std::string_view field) {
              if (*kind != DocKind::pair && !kCommon.contains(field) && !kFields.at(*kind).contains(field))
                fail_input("{}: {}: there is no field {{{}}}", path.string(), name, field);
            });
      }
      if (made.prompt.empty() || made.response.empty())
        fail_input("{}: {}: a template without prompt or response", path.string(), name);
      if (*kind == DocKind::pair ||
          (options.think ? *kind != DocKind::theorem || !made.think.empty() : made.think.empty()))
        all[*kind].push_back(std::move(made));
    }
  }
  own_ = all[DocKind::pair];
  for (const std::string& name : options.kinds) {
    const auto kind = kind_named(name);
    if (!kind || !kFields.contains(*kind))
      fail_input(
          "pairs.kinds: '{}' is no kind of pair; there are abstract, summary, section, definition, theorem, equation",
          name);
    if (all[*kind].empty())
      fail_input("{}: no template for {}{}", path.string(), name, options.think ? " with think" : "");
    templates_[*kind] = all[*kind];
  }
}

std::vector<PairMaker::Made> PairMaker::candidates(const extract::Article& article, const Fields& common) const {
  std::vector<Made> out;
  const auto add = [&](DocKind kind, Fields fields) {
    if (!wants(kind)) return;
    fields.insert(common.begin(), common.end());
    out.push_back({kind, std::move(fields)});
  };
  const auto& blocks = article.blocks;
  std::string introduction;
  for (const Block& b : blocks) {
    if (introduction.size() > 8000) break;
    if (!introduction.empty()) introduction += "\n\n";
    introduction += b.text;
  }
  if (count_words(common.at("abstract")) >= 20) {
    add(DocKind::abstract, {});
    add(DocKind::summary, {{"introduction", introduction}});
  }
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const Block& b = blocks[i];
    if (b.kind == BlockKind::heading && wants(DocKind::section)) {
      extract::Article part;
      for (std::size_t k = i + 1; k < blocks.size() && blocks[k].kind != BlockKind::heading; ++k)
        part.blocks.push_back(blocks[k]);
      std::string text = part.text();
      if (count_words(text) >= 50) add(DocKind::section, {{"heading", b.text}, {"text", std::move(text)}});
    } else if (is_definition(b)) {
      add(DocKind::definition, {{"term", defined_term(b)}, {"statement", b.text}});
    } else if (is_claim(b)) {
      std::size_t next = i + 1;  // a paragraph may stand between a claim and its proof
      while (next < blocks.size() && next < i + 3 && blocks[next].kind == BlockKind::paragraph) ++next;
      if (next < blocks.size() && blocks[next].kind == BlockKind::proof)
        add(DocKind::theorem,
            {{"name", lower(b.name)}, {"heading", b.title}, {"statement", b.text}, {"proof", blocks[next].text}});
    } else if (b.kind == BlockKind::equation && i > 0 && blocks[i - 1].kind == BlockKind::paragraph &&
               count_words(blocks[i - 1].text) >= 15) {
      const bool more = i + 1 < blocks.size() && blocks[i + 1].kind == BlockKind::paragraph;
      add(DocKind::equation,
          {{"before", blocks[i - 1].text}, {"equation", b.text}, {"after", more ? blocks[i + 1].text : ""}});
    }
  }
  return out;
}

std::optional<Document> PairMaker::own(const nlohmann::json& object) const {
  if (own_.empty()) return std::nullopt;
  Fields fields;
  for (const auto& [key, value] : object.items())
    if (value.is_string() || value.is_number())
      fields[key] = value.is_string() ? value.get<std::string>() : value.dump();
  std::vector<Document> fitting;
  for (const Template& t : own_) {
    auto prompt = fill(t.prompt, fields), response = fill(t.response, fields), think = fill(t.think, fields);
    if (!prompt || !response || !think) continue;
    Document d;
    d.prompt = std::move(prompt);
    d.text = std::move(*response);
    if (!think->empty()) d.think = std::move(think);
    d.kind = DocKind::pair;
    fitting.push_back(std::move(d));
  }
  if (fitting.empty()) return std::nullopt;
  const std::uint64_t draw =
      mix(options_.seed, xxh3(object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)));
  return fitting[draw % fitting.size()];
}

std::vector<Document> PairMaker::make(const Paper& paper, const extract::Article& article) const {
  std::vector<Document> pairs;
  if (templates_.empty()) return pairs;
  const Fields common{{"title", paper.title.empty() ? article.title : paper.title},
                      {"authors", joined(paper.authors)},
                      {"abstract", article.abstract.empty() ? paper.abstract : article.abstract},
                      {"field", paper.fields.empty() ? "" : paper.fields.front()}};
  std::vector<Made> made = candidates(article, common);
  const std::uint64_t key = mix(options_.seed, xxh3(paper.id.empty() ? common.at("title") : paper.id));
  if (made.size() > options_.per_paper) {  // which of them, is drawn; they stay in order
    std::vector<std::pair<std::uint64_t, std::size_t>> draw;
    for (std::size_t i = 0; i < made.size(); ++i) draw.emplace_back(mix(key, i), i);
    std::sort(draw.begin(), draw.end());
    draw.resize(options_.per_paper);
    std::vector<std::size_t> kept;
    for (const auto& [drawn, i] : draw) kept.push_back(i);
    std::sort(kept.begin(), kept.end());
    std::vector<Made> some;
    for (const std::size_t i : kept) some.push_back(std::move(made[i]));
    made = std::move(some);
  }
  for (std::size_t i = 0; i < made.size(); ++i) {
    const auto& templates = templates_.at(made[i].kind);
    const std::size_t first = mix(~key, i) % templates.size();
    std::uint64_t worded = 0;
    for (std::size_t t = 0; t < templates.size() && worded < options_.phrasings; ++t) {
      const Template& use = templates[(first + t) % templates.size()];
      auto prompt = fill(use.prompt, made[i].fields), response = fill(use.response, made[i].fields),
           think = fill(use.think, made[i].fields);
      if (!prompt || !response || !think) continue;
      if (std::max({count_words(*prompt), count_words(*response), count_words(*think)}) > options_.max_words) continue;
      Document d;
      d.prompt = std::move(prompt);
      d.text = std::move(*response);
      if (!think->empty()) d.think = std::move(think);
      d.trusted = false;
      d.kind = made[i].kind;
      pairs.push_back(std::move(d));
      ++worded;
    }
  }
  return pairs;
}

}  // namespace eddy::shard
