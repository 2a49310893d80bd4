// Pairs from articles by templates; papers of a store; evaluation sets; weights.
#include "shard/pairs.h"

#include <algorithm>
#include <map>

#include "catch.h"
#include "errors.h"
#include "made_tokenizer.h"
#include "shard/build_options.h"
#include "shard/decontaminate.h"
#include "support.h"

using namespace eddy::shard;
using eddy::extract::Article;
using eddy::extract::BlockKind;
using eddy_test::caught;
using eddy_test::TempDir;
using eddy_test::write_file;

namespace {
const std::string kWords =
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty";

Article some_article() {
  Article a;
  a.title = "On things";
  a.abstract = kWords;
  a.blocks = {{.kind = BlockKind::heading, .level = 1, .text = "Beginnings"},
              {.kind = BlockKind::paragraph, .text = kWords + " " + kWords + " " + kWords},
              {.kind = BlockKind::equation, .text = "$$E=mc^2$$"},
              {.kind = BlockKind::paragraph, .text = "and so on"},
              {.kind = BlockKind::theorem, .name = "Definition", .title = "Thing", .text = "A thing is a thing."},
              {.kind = BlockKind::theorem, .name = "Lemma", .text = "Things exist. </think> <think>"},
              {.kind = BlockKind::proof, .text = "Look around. </think>"},
              {.kind = BlockKind::theorem, .name = "remark", .text = "No pair."},
              {.kind = BlockKind::theorem, .name = "theorem", .text = "Unproved."}};
  return a;
}
std::string templates_file() {
  return (eddy_test::source_dir() / "configs/corpus/templates.json").string();
}
PairOptions options(std::vector<std::string> kinds) {
  return {.kinds = std::move(kinds), .templates = templates_file()};
}
}  // namespace

TEST_CASE("each kind is made where its parts are there") {
  const PairMaker maker(options({"abstract", "summary", "section", "definition", "theorem", "equation"}));
  const auto pairs = maker.make({}, some_article());
  std::map<DocKind, std::vector<Document>> by_kind;
  for (const Document& d : pairs) by_kind[d.kind].push_back(d);
  REQUIRE(pairs.size() == 6);
  for (const auto& [kind, list] : by_kind) CHECK(list.size() == 1);
  const auto& lemma = by_kind[DocKind::theorem].at(0);
  CHECK(lemma.text == "Look around. </think>");
  CHECK(lemma.prompt->find("Things exist.") != std::string::npos);
  CHECK(by_kind[DocKind::abstract].at(0).text == kWords);
  CHECK(by_kind[DocKind::definition].at(0).text == "A thing is a thing.");
  CHECK(by_kind[DocKind::definition].at(0).prompt->find("Thing") != std::string::npos);
  CHECK(by_kind[DocKind::equation].at(0).text.starts_with("$$E=mc^2$$"));
  CHECK(by_kind[DocKind::section].at(0).prompt->find("Beginnings") != std::string::npos);
  CHECK(maker.make({}, some_article()).at(3).prompt == pairs.at(3).prompt);
  CHECK(maker.make({}, Article{}).empty());
  CHECK(PairMaker(options({})).make({}, some_article()).empty());
}

TEST_CASE("phrasings, and a limit a paper") {
  PairOptions o = options({"theorem", "definition", "abstract"});
  o.phrasings = 3;
  const auto pairs = PairMaker(o).make({}, some_article());
  CHECK(pairs.size() == 9);
  std::map<std::string, int> prompts;
  for (const Document& d : pairs) ++prompts[*d.prompt];
  CHECK(prompts.size() == 9);
  o.per_paper = 1;
  CHECK(PairMaker(o).make({}, some_article()).size() == 3);
  o.max_words = 2;
  CHECK(PairMaker(o).make({}, some_article()).empty());
}

TEST_CASE("a proof thinks, and the paper's words cannot end it") {
  PairOptions o = options({"theorem"});
  o.think = true;
  const auto pairs = PairMaker(o).make({}, some_article());
  REQUIRE(pairs.size() == 1);
  CHECK(pairs[0].think == "Look around. </think>");
  auto tokenizer = eddy::tokenize::Tokenizer::from_json(eddy_test::tokenizer_json(), "made");
  const auto e = Encoder(tokenizer).encode(pairs[0]);
  const auto think = *tokenizer.id_of("<think>"), end = *tokenizer.id_of("</think>");
  CHECK(std::count(e.ids.begin(), e.ids.end(), think) == 1);
  CHECK(std::count(e.ids.begin(), e.ids.end(), end) == 1);
  CHECK(e.ids[e.prompt] == think);  // the first target
  const std::string text = tokenizer.decode(e.ids);
  CHECK(text.find("<think>\nLook around. </think>\n</think>\n\n") != std::string::npos);
  CHECK(pairs[0].hash() != Document{.prompt = pairs[0].prompt, .text = pairs[0].text}.hash());
}

TEST_CASE("the user's own lines become pairs by the templates whose fields they have") {
  const PairMaker maker(options({}));
  const auto line = [&](const std::string& json) {
    Document d;
    const auto outcome = parse_line(json, "x.jsonl", d, [&](const nlohmann::json& object, Document& to) {
      auto made = maker.own(object);
      if (made) to = *made;
      return made.has_value();
    });
    return outcome.rejected() ? outcome.reason : *d.prompt + " -> " + d.text;
  };
  CHECK(line(R"({"question": "How\r\nmany?", "answer": 7, "id": 3})") == "How\nmany? -> 7");
  CHECK(line(R"({"problem": "P", "solution": "S"})") == "P -> S");
  CHECK(line(R"({"prompt": "p", "response": "r", "question": "q", "answer": "a"})") == "p -> r");
  CHECK(line(R"({"question": "q", "answer": " "})") == "response: no text");
  CHECK(line(R"({"question": "q"})") == "JSON: neither text nor prompt and response");
  TempDir dir;
  write_file(dir / "t.json", R"({"own": [{"prompt": "{q}", "think": "{why}", "response": "{a}"}]})");
  const auto made = PairMaker({.templates = (dir / "t.json").string()}).own({{"q", "x"}, {"why", "y"}, {"a", "z"}});
  REQUIRE(made);
  CHECK(made->think == "y");
  CHECK(made->kind == DocKind::pair);
}

TEST_CASE("templates that cannot be used are refused by name") {
  TempDir dir;
  const auto refused = [&](const std::string& json, const std::string& part,
                           std::vector<std::string> kinds = {"abstract"}) {
    write_file(dir / "t.json", json);
    PairOptions o{.kinds = std::move(kinds), .templates = (dir / "t.json").string()};
    const auto c = caught([&] { PairMaker{o}; });
    INFO(c.text);
    CHECK(c.status == 2);
    CHECK(c.says(part));
    CHECK((c.says("t.json") || c.says("pairs.kinds")));
  };
  refused("{", "t.json");
  refused(R"({"abstrct": []})", "abstrct");
  refused(R"({"abstract": [{"prompt": "{titel}", "response": "{abstract}"}]})", "{titel}");
  refused(R"({"abstract": [{"prompt": "{title}"}]})", "without prompt or response");
  refused(R"({"abstract": [{"prompt": "a", "answer": "b"}]})", "answer");
  refused(R"({"abstract": []})", "no template for abstract");
  refused(R"({})", "no kind of pair", {"proof"});
  // braces that are no field are text
  write_file(dir / "t.json", R"({"abstract": [{"prompt": "\\frac{1}{2} {title}", "response": "{abstract}"}]})");
  const auto pairs =
      PairMaker({.kinds = {"abstract"}, .templates = (dir / "t.json").string()}).make({}, some_article());
  CHECK(pairs.at(0).prompt == "\\frac{1}{2} On things");
}

TEST_CASE("papers of a store: identities, licences, payloads that lead nowhere") {
  const auto paper = [](const std::string& line) { return parse_paper(line, "s:1"); };
  const Paper a = paper(
                  R"({"id": "arXiv:2101.00001", "arxiv": "2101.00001v2", "title": "On the zeros of zeta", "year": 2021,
                            "licence": "http://creativecommons.org/licenses/by/4.0/", "payload": null})"),
              b = paper(
                  R"({"id": "doi:10.1/x", "doi": "10.1/X", "arxiv": "2101.00001", "title": "Other", "payload": null})"),
              c = paper(R"({"id": "s2:9", "title": "On the Zeros of Zeta.", "year": 2021, "payload": null})"),
              d = paper(R"({"id": "s2:8", "title": "On the zeros of zeta", "year": 1999, "payload": null})");
  const auto same = [](const Paper& x, const Paper& y) {
    for (auto k : x.identities())
      for (auto l : y.identities())
        if (k == l) return true;
    return false;
  };
  CHECK(same(a, b));        // arXiv versions
  CHECK(same(a, c));        // title and year
  CHECK_FALSE(same(a, d));  // another year
  CHECK_FALSE(same(b, c));
  CHECK(a.split_key() != b.split_key());
  CHECK(a.licence == "cc-by-4.0");
  CHECK(b.licence == "unknown");
  CHECK(licence_name("http://arxiv.org/licenses/nonexclusive-distrib/1.0/") == "arxiv-nonexclusive");
  CHECK(licence_name("https://creativecommons.org/licenses/by-nc-sa/4.0/legalcode") == "cc-by-nc-sa-4.0");
  CHECK(licence_name("CC BY 4.0") == "cc-by-4.0");
  CHECK(licence_allowed({}, "anything"));
  CHECK(licence_allowed({"cc-by-*"}, "cc-by-4.0"));
  CHECK_FALSE(licence_allowed({"cc-by-4.0", "cc0*"}, "unknown"));
  CHECK(extract_paper(a, "/nowhere", "").outcome.reason == "store: no full text");
  const Paper evil =
      paper(R"({"id": "x", "payload": {"tar": "../../etc/passwd", "offset": 0, "bytes": 5, "kind": "latex"}})");
  CHECK(extract_paper(evil, "/tmp", "").outcome.reason == "store: a payload outside of it");
  const Paper gone = paper(R"({"id": "x", "payload": {"tar": "a.tar", "offset": 0, "bytes": 5, "kind": "latex"}})");
  CHECK(extract_paper(gone, "/nowhere", "").outcome.reason == "store: a payload cannot be read");
  CHECK(caught([&] { paper(R"({"title": "none"})"); }).says("s:1"));
  CHECK(caught([&] { paper(R"({"id": "x", "payload": {"tar": "a.tar"}})"); }).says("offset"));
  CHECK(is_store_line(R"({"id": "x", "payload": null})"));
  CHECK_FALSE(is_store_line(R"({"id": "x", "text": "a"})"));
}

TEST_CASE("evaluation sets are read in either form, with what is too short to check") {
  TempDir dir;
  write_file(dir / "a.jsonl",
             "{\"question\": \"how many eggs does the duck lay\", \"answer\": \"7\"}\n\n{\"q\": \"why?\"}\n");
  write_file(dir / "b.json", R"([{"problem": {"text": "find the pressure of the ideal gas"}}])");
  Decontaminator d({.files = {(dir / "a.jsonl").string(), (dir / "b.json").string()}, .words = 5});
  CHECK(d.items() == 3);
  CHECK(d.too_short() == 1);
  const auto hit = d.find("Now: How many eggs does the duck?");
  REQUIRE(hit);
  CHECK(hit->item == "a.jsonl:1");
  CHECK(d.find("find the pressure of the wind").value().item == "b.json:1");
  CHECK_FALSE(d.find("how many eggs"));
  write_file(dir / "bad.jsonl", "{\"a\": \"b\"}\n{oops\n");
  CHECK(caught([&] { Decontaminator({.files = {(dir / "bad.jsonl").string()}}); }).says("bad.jsonl:2"));
  write_file(dir / "empty.jsonl", "\n");
  CHECK(caught([&] { Decontaminator({.files = {(dir / "empty.jsonl").string()}}); }).says("no text"));
}

TEST_CASE("weights multiply over source, field and kind") {
  const std::vector<WeightRule> rules{parse_weight("source=in/notes:2"), parse_weight("field=Phys*:0.5"),
                                      parse_weight("kind=text:3"), parse_weight("source=*:10")};
  CHECK(weight_of(rules, "in/notes/a.md", {}, DocKind::text) == approx(6));
  CHECK(weight_of(rules, "in/notes", {}, DocKind::pair) == approx(2));
  CHECK(weight_of(rules, "in/notesx", {"mathematics", "physics"}, DocKind::pair) == approx(5));
  for (const char* bad : {"text:2", "kind=text", "kind=text:x", "colour=red:1", "kind=text:-1", "kind=:1"})
    CHECK(caught([&] { parse_weight(bad); }).says(bad));
}
