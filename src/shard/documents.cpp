#include "shard/documents.h"

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "io/file.h"

namespace eddy::shard {
using extract::Outcome;

std::uint64_t Document::hash() const {
  if (!prompt) return xxh3(text);
  Xxh3Stream h;
  h.update(prompt->data(), prompt->size());
  h.update("\0", 1);  // cleaned text holds no NUL
  if (think) {
    h.update(think->data(), think->size());
    h.update("\0", 1);
  }
  h.update(text.data(), text.size());
  return h.digest();
}

namespace {
/// A pair's texts, cleaned in place.
Outcome clean_pair(Document& d) {
  Outcome counts;
  for (const auto& [name, text] : {std::pair("prompt", &*d.prompt), std::pair("response", &d.text)}) {
    Outcome o = extract::clean_text(*text);
    if (o.rejected()) return Outcome::reject(fmt::format("{}: {}", name, o.reason), o.detail);
    counts.invalid_utf8 += o.invalid_utf8;
    counts.controls += o.controls;
    *text = std::move(o.text);
  }
  return counts;
}
}  // namespace

Outcome parse_line(std::string_view line, const std::string& name, Document& document, const OwnPair& own) {
  nlohmann::json j;
  try {
    j = parse_json<nlohmann::json>(line, name);
  } catch (const Error& e) {
    return Outcome::reject("JSON: malformed", e.what());
  }
  if (!j.is_object()) return Outcome::reject("JSON: not an object");
  const bool pair = j.contains("prompt") && j.contains("response");
  if (!pair && !j.contains("text") && own && own(j, document)) return clean_pair(document);
  if (!pair && !j.contains("text")) return Outcome::reject("JSON: neither text nor prompt and response");
  Outcome counts;
  const auto take = [&](const char* key) -> std::optional<std::string> {
    if (!j[key].is_string()) {
      counts = Outcome::reject(fmt::format("JSON: {} is not a string", key));
      return std::nullopt;
    }
    Outcome o = extract::clean_text(j[key].get_ref<const std::string&>());
    if (o.rejected()) {
      counts = pair ? Outcome::reject(fmt::format("{}: {}", key, o.reason), o.detail) : o;
      return std::nullopt;
    }
    counts.invalid_utf8 += o.invalid_utf8;
    counts.controls += o.controls;
    return std::move(o.text);
  };
  document = {};
  if (pair && !(document.prompt = take("prompt"))) return counts;
  if (pair) document.kind = DocKind::pair;
  if (auto text = take(pair ? "response" : "text")) document.text = std::move(*text);
  return counts;
}

std::uint64_t for_each_line(const InputFile& file, const Unit& unit,
                            const std::function<void(std::uint64_t, std::string_view)>& visit) {
  const io::MappedFile mapped{std::filesystem::path(file.path)};
  const std::string_view all = mapped.text();
  std::size_t at = std::min<std::size_t>(unit.begin, all.size());
  if (at > 0 && all[at - 1] != '\n') at = std::min(all.find('\n', at), all.size() - 1) + 1;  // the line before's end
  std::uint64_t number = 0;
  while (at < all.size() && at < unit.end) {
    const std::size_t end = std::min(all.find('\n', at), all.size());
    const std::string_view line = all.substr(at, end - at);
    at = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    visit(number, line);
  }
  return number;
}

std::uint64_t read_unit(const InputFile& file, const Unit& unit, const extract::PdfRoute& pdf, const Visitor& visit,
                        const OwnPair& own) {
  if (file.kind == extract::Kind::jsonl) {
    try {
      return for_each_line(file, unit, [&](std::uint64_t number, std::string_view line) {
        Document document;
        const Outcome outcome = parse_line(line, file.name, document, own);
        visit(number, outcome.rejected() ? nullptr : &document, outcome);
      });
    } catch (const Error& e) {
      if (e.status() != Exit::unusable) throw;
      visit(0, nullptr, Outcome::reject("cannot be read", e.what()));
      return 0;
    }
  }
  auto [article, outcome] = extract::extract_article(file.path, file.kind, file.root, pdf);
  if (outcome.rejected()) {
    visit(0, nullptr, outcome);
    return 0;
  }
  Document document;
  document.text = std::move(outcome.text);
  document.article = std::move(article);
  visit(0, &document, outcome);
  return 0;
}

Encoder::Encoder(tokenize::Tokenizer& t)
    : tokenizer_(t),
      bos_(t.id_of("<｜begin▁of▁sentence｜>")),
      eos_(t.id_of("<｜end▁of▁sentence｜>")),
      user_(t.id_of("<｜User｜>")),
      assistant_(t.id_of("<｜Assistant｜>")),
      think_(t.id_of("<think>")),
      end_think_(t.id_of("</think>")) {}

void Encoder::append(std::vector<std::uint32_t>& ids, std::string_view text) {
  const auto more = tokenizer_.encode(text, tokenize::Tokenizer::Added::plain_text);
  ids.insert(ids.end(), more.begin(), more.end());
}

void Encoder::append_response(std::vector<std::uint32_t>& ids, const Document& document) {
  constexpr std::string_view open = "<think>", close = "</think>";
  std::string_view response = document.text;
  if (document.think) {
    if (!think_ || !end_think_)  // a tokenizer without them: the words alone
      return append(ids, fmt::format("{}\n\n{}", *document.think, response));
    ids.push_back(*think_);
    append(ids, fmt::format("\n{}\n", *document.think));
    ids.push_back(*end_think_);
    return append(ids, fmt::format("\n\n{}", response));
  }
  if (!document.trusted || !think_ || !end_think_ || !response.starts_with(open)) return append(ids, response);
  ids.push_back(*think_);
  response.remove_prefix(open.size());
  const std::size_t end = response.find(close);
  append(ids, response.substr(0, end));
  if (end == std::string_view::npos) return;
  ids.push_back(*end_think_);
  append(ids, response.substr(end + close.size()));
}

Encoder::Encoded Encoder::encode(const Document& document) {
  Encoded e;
  const auto control = [&](const std::optional<std::uint32_t>& id) {
    if (id) e.ids.push_back(*id);
  };
  control(bos_);
  if (document.prompt) {
    control(user_);
    append(e.ids, *document.prompt);
    control(assistant_);
    e.prompt = static_cast<std::uint32_t>(e.ids.size());
    append_response(e.ids, document);
  } else {
    append(e.ids, document.text);
  }
  control(eos_);
  return e;
}

}  // namespace eddy::shard
