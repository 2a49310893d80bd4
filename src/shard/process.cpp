#include "shard/process.h"

#include <algorithm>

#include "base/error.h"
#include "base/rng.h"
#include "extract/pdf.h"
#include "io/file.h"
#include "text/language.h"
#include "text/mask.h"
#include "text/words.h"

namespace eddy::shard {
using extract::Outcome;
using nlohmann::json;
namespace {

// Apart, so that a text and a pair are never copies of each other.
constexpr std::uint64_t kText = 1, kPair = 2;

std::string lower(std::string s) {
  std::transform(s.begin(), s.end(), s.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return s;
}

Origin origin_of(const InputFile& file, const Paper* paper) {
  if (paper && paper->payload) return paper->payload->pdf ? Origin::pdf : Origin::latex;
  return file.kind == extract::Kind::latex ? Origin::latex
         : file.kind == extract::Kind::pdf ? Origin::pdf
                                           : Origin::text;
}

}  // namespace

Processor::Processor(const BuildOptions& options, const InputList& list, const std::vector<Unit>& units,
                     tokenize::Tokenizer& tokenizer, JournalWriter& journal)
    : options_(options),
      list_(list),
      units_(units),
      journal_(journal),
      encoder_(tokenizer),
      pairs_(options.pairs),
      evaluation_(options.decontaminate),
      pdf_(extract::pdf_program()) {
  if (!options.grobid.url.empty()) pdf_.grobid = &grobid_.emplace(options.grobid, options.stop);
  if (options.dedup.mode == "near") hasher_.emplace(options.dedup.minhash);
}

UnitResult Processor::process(std::uint32_t unit) {
  const InputFile& file = list_.files[units_[unit].file];
  result_ = {.unit = unit};
  if (file.store) {
    papers_of_store(file, units_[unit]);
  } else {
    const bool whole = file.kind != extract::Kind::jsonl;
    const std::uint64_t lines = read_unit(
        file, units_[unit], pdf_,
        [&](std::uint64_t line, Document* document, const Outcome& outcome) {
          Paper paper;
          if (whole && document) paper.title = document->article.title;
          take(line, document ? std::move(*document) : Document(), Outcome(outcome), whole ? &paper : nullptr);
        },
        [&](const json& object, Document& document) {
          auto pair = pairs_.own(object);
          if (pair) document = std::move(*pair);
          return pair.has_value();
        });
    result_.tally.count_lines(unit, lines);
  }
  return std::move(result_);
}

void Processor::papers_of_store(const InputFile& file, const Unit& unit) {
  const std::uint64_t lines = for_each_line(file, unit, [&](std::uint64_t number, std::string_view line) {
    Paper paper;
    try {
      paper = parse_paper(line, file.name);
    } catch (const Error& e) {
      return take(number, {}, Outcome::reject("store: malformed", e.what()), nullptr);
    }
    if (!licence_allowed(options_.screen.licences, paper.licence))
      return take(number, {}, Outcome::reject("licence: " + paper.licence), &paper);
    auto [article, outcome] = extract_paper(paper, file.root, pdf_);
    Document document;
    document.text = std::move(outcome.text);
    document.article = std::move(article);
    take(number, std::move(document), std::move(outcome), &paper);
  });
  result_.tally.count_lines(result_.unit, lines);
}

void Processor::screen(Document& document, Outcome& outcome, const Paper* paper) {
  const ScreenOptions& o = options_.screen;
  if (o.mask_emails) {
    std::uint64_t n = text::mask_emails(document.text);
    if (document.prompt) n += text::mask_emails(*document.prompt);
    for (extract::Block& b : document.article.blocks) text::mask_emails(b.text);
    text::mask_emails(document.article.abstract);
    result_.tally.count("emails_masked", n);
  }
  const bool of_store = paper && !paper->id.empty();
  if (!document.prompt && (o.papers == "all" || (o.papers == "auto" && of_store))) {
    const std::string words = text::without_mathematics(document.text);
    if (!o.language.empty()) {
      const text::Language language = text::detect_language(words);
      result_.tally.count("language: " + language.code, 1);
      if (language.code != o.language) {
        outcome = Outcome::reject("language: " + language.code);
        return;
      }
    }
    const auto measured = text::measure_quality(words);
    const auto broken = text::broken_rules(o.rules, measured);
    for (const std::size_t i : broken) result_.tally.count("quality rule broken: " + std::string(o.rules[i].name), 1);
    if (!broken.empty()) {
      const text::QualityRule& rule = o.rules[broken.front()];
      outcome = Outcome::reject("quality: " + std::string(rule.name),
                                fmt::format("{:.4g} where {} is {:.4g}{}", measured[broken.front()], rule.name,
                                            rule.limit, broken.size() > 1 ? "; and other rules" : ""));
      return;
    }
  }
  if (evaluation_.empty()) return;
  const auto hit = evaluation_.find(document.prompt ? *document.prompt + "\n" + document.text : document.text);
  if (!hit) return;
  outcome = Outcome::reject("in an evaluation set", fmt::format("{}: {}", hit->item, hit->words));
}

void Processor::reject(std::uint64_t line, const Outcome& outcome, const Paper* paper) {
  json j = {{"line", line}, {"reason", outcome.reason}};
  if (!outcome.detail.empty()) j["detail"] = outcome.detail;
  if (paper && !paper->id.empty()) j["id"] = paper->id;
  result_.rejections.push_back(std::move(j));
}

void Processor::take(std::uint64_t line, Document&& document, Outcome&& outcome, const Paper* paper) {
  const std::string grobid = outcome.grobid;
  if (!grobid.empty())
    result_.tally.count(grobid == "used" ? "PDFs read by GROBID" : "PDFs not read by GROBID but by poppler: " + grobid,
                        1);
  if (!outcome.rejected()) screen(document, outcome, paper);
  result_.tally.count(result_.unit, line, outcome);
  if (outcome.rejected()) return reject(line, outcome, paper);
  ++documents_;

  const Unit& unit = units_[result_.unit];
  const InputFile& file = list_.files[unit.file];
  const bool of_store = paper && !paper->id.empty();
  const std::string source = of_store ? file.name + "/" + paper->id : file.name;
  DocumentRecord record;
  record.line = static_cast<std::uint32_t>(line);
  record.origin = origin_of(file, paper);
  if (paper) {
    record.paper = static_cast<std::uint32_t>(result_.papers.size());
    record.split_key = paper->split_key();
    json entry = paper->line;
    entry["source"] = source;
    entry["licence"] = paper->licence;
    if (!grobid.empty()) entry["grobid"] = grobid;
    if (!entry.contains("title") && !paper->title.empty()) entry["title"] = paper->title;
    result_.papers.push_back(std::move(entry));
  }
  const std::vector<std::string> none;
  const auto& fields = paper ? paper->fields : none;
  const auto weight = [&](DocKind kind) {
    return static_cast<float>(weight_of(options_.weights, source, fields, kind));
  };

  std::vector<std::uint64_t> keys;
  if (options_.dedup.mode == "near" && !document.prompt) {
    keys = hasher_->keys(document.text);
    if (hasher_->words() < options_.dedup.min_words) keys.clear();
  }
  if (of_store)
    for (const std::uint64_t key : paper->identities()) keys.push_back(key);
  record.kind = document.kind;
  record.weight = weight(record.kind);
  record.set = document.prompt && !options_.pairs.kinds.empty() && !options_.pairs.together ? 1 : 0;
  const auto owner = static_cast<std::uint32_t>(result_.records.size());
  add(document, record, keys);
  if (document.article.blocks.empty()) return;

  const bool asked =
      !options_.task_field.empty() &&
      (options_.task_field == "*" || std::any_of(fields.begin(), fields.end(), [&](const std::string& f) {
         return lower(f) == lower(options_.task_field);
       }));
  const std::uint64_t key = result_.records[owner].key();
  for (const Document& pair : pairs_.make(*paper, document.article)) {
    DocumentRecord of_pair;
    of_pair.line = record.line;
    of_pair.owner = owner;
    of_pair.paper = record.paper;
    of_pair.split_key = key;
    of_pair.kind = pair.kind;
    of_pair.origin = record.origin;
    of_pair.weight = weight(pair.kind);
    of_pair.set = options_.pairs.together ? 0 : 1;
    result_.tally.count("pairs made: " + std::string(kind_name(pair.kind)), 1);
    add(pair, of_pair, {});
    const bool short_answer =
        pair.kind == DocKind::definition || pair.kind == DocKind::theorem || pair.kind == DocKind::equation;
    if (asked && short_answer)
      result_.questions.push_back({{"question", *pair.prompt},
                                   {"answer", pair.text},
                                   {"kind", kind_name(pair.kind)},
                                   {"record", result_.records.size() - 1}});
  }
}

void Processor::add(const Document& document, DocumentRecord record, const std::vector<std::uint64_t>& keys) {
  const Encoder::Encoded e = encoder_.encode(document);
  record.hash = document.hash();
  if (e.ids.size() >= kNone) fail_run("a document of {} tokens, more than 4 billion", e.ids.size());
  record.tokens = static_cast<std::uint32_t>(e.ids.size());
  record.offset = journal_.spill().append(e.ids);
  record.unit = result_.unit;
  record.number = static_cast<std::uint32_t>(result_.records.size());
  record.prompt = e.prompt;
  record.spill = journal_.number();
  result_.records.push_back(record);
  result_.keys.push_back(mix(document.prompt ? kPair : kText, record.hash));
  result_.keys.insert(result_.keys.end(), keys.begin(), keys.end());
  result_.key_counts.push_back(static_cast<std::uint32_t>(1 + keys.size()));
}

}  // namespace eddy::shard
