// A crawl's store through the whole build, on several ranks: copies and twins, splits by paper, licences, lists, tasks,
// weights, folds; and the same bytes whatever the number of ranks.
#include <cstring>
#include <map>
#include <set>
#include <sstream>

#include "catch.h"
#include "comm/self_communicator.h"
#include "comm/session.h"
#include "made_tokenizer.h"
#include "shard/build.h"
#include "shard/corpus.h"
#include "shard/inspect.h"
#include "support.h"
#include "synthetic_store.h"

using namespace eddy::shard;
using eddy_test::TempDir;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {
eddy::comm::Communicator& world() {
  static auto* s = new eddy::comm::Session;  // MPI is the test's main's to finalize, after all statics
  return s->world();
}
fs::path shared_folder(const TempDir& keep) {
  char path[512] = {};
  std::strncpy(path, keep.path().c_str(), sizeof path - 1);
  world().broadcast(path, sizeof path, eddy::Dtype::u8, 0);
  return path;
}

/// 40 papers; a version twin, a near-duplicate, an exact one, a forbidden licence, a German one, one without text.
void write_store(const fs::path& dir) {
  eddy_test::StoreMaker store;
  for (std::uint64_t i = 0; i < 40; ++i) {
    const std::string n = std::to_string(1000 + i), title = "On the flow of kind " + n;
    json more{{"arxiv", "2101.0" + n}};
    if (i % 2 == 1) more["fields"] = {"mathematics"};
    store.add("arXiv:2101.0" + n, title, eddy_test::made_paper(i, title), more);
  }
  const std::string again = eddy_test::made_paper(3, "On the flow of kind 1003");
  store.add("doi:10.1/twin", "Another name entirely for it", eddy_test::made_paper(900, "Twin"),
            {{"arxiv", "2101.01001v7"}});
  std::string near = again;
  near.insert(near.find("Part 1"), "Revised ");
  store.add("doi:10.2/near", "A thing of four words", near);
  store.add("doi:10.3/exact", "A thing of other words", again);
  store.add("doi:10.4/closed", "Nobody may read this one", eddy_test::made_paper(901, "Closed"),
            {{"licence", "Elsevier TDM"}});
  store.add("doi:10.5/none", "This one has no text", "", {{"payload", nullptr}});
  std::string german = "\\begin{document}";
  for (int i = 0; i < 100; ++i)
    german += "Wir zeigen, dass die Energie der Strömung durch eine Konstante beschränkt ist. ";
  store.add("doi:10.6/de", "Über die Energie der Strömung", german + "\\end{document}");
  store.write(dir / "store");
  eddy_test::write_file(dir / "mine.jsonl", "{\"prompt\": \"the sum?\", \"response\": \"the lemma\"}\n");
  eddy_test::write_file(dir / "eval.jsonl",
                        "{\"question\": " + json(eddy_test::made_words(5 * 100 + 11, 80)).dump() + "}\n");
  eddy_test::write_file(dir / "tokenizer.json", eddy_test::tokenizer_json());
}

BuildOptions options(const fs::path& dir, const std::string& out) {
  BuildOptions o{.inputs = {(dir / "store").string(), (dir / "mine.jsonl").string()},
                 .tokenizer = dir / "tokenizer.json",
                 .out = dir / out,
                 .split = {.validation = 0.1, .test = 0.2},
                 .shard_tokens = 60000};
  o.screen.licences = {"cc-by-*"};
  o.decontaminate.files = {(dir / "eval.jsonl").string()};
  o.pairs = {.kinds = {"abstract", "definition", "theorem", "equation", "section", "summary"},
             .templates = (eddy_test::source_dir() / "configs/corpus/templates.json").string(),
             .phrasings = 2};
  o.task_field = "Physics";
  o.keys_at_once = 97;
  return o;
}

std::vector<json> lines(const fs::path& file) {
  std::vector<json> out;
  std::istringstream in(eddy_test::read_file(file));
  for (std::string line; std::getline(in, line);) out.push_back(json::parse(line));
  return out;
}
std::map<std::string, std::string> contents(const fs::path& dir) {
  std::map<std::string, std::string> files;
  for (const auto& e : fs::recursive_directory_iterator(dir))
    if (e.is_regular_file()) files[e.path().lexically_relative(dir).string()] = eddy_test::read_file(e.path());
  return files;
}
/// Paper → the splits its documents are in, over the sets of a build.
std::map<std::string, std::set<Split>> splits_of(const fs::path& out, std::set<Split> splits) {
  std::map<std::string, std::set<Split>> found;
  for (const char* set : {"text", "pairs"})
    for (const Split s : splits) {
      const Corpus c({out / set}, s);
      for (std::uint64_t i = 0; i < c.documents(); ++i)
        found[std::string(c.shards()[c.place(i).shard].source_name(c.document(i).source))].insert(s);
    }
  return found;
}
}  // namespace

TEST_CASE("a store becomes texts and pairs; the same bytes whatever the number of ranks") {
  const TempDir keep;
  const fs::path dir = shared_folder(keep);
  if (world().rank() == 0) write_store(dir);
  world().barrier();
  const auto sets = build_sets(world(), options(dir, "all"));
  REQUIRE(sets.size() == 2);
  CHECK(sets[0].name == "text");
  CHECK(sets[1].name == "pairs");
  if (world().rank() == 0) {
    const auto alone = eddy::comm::self_communicator("alone");
    build_sets(*alone, options(dir, "alone"));
    CHECK(contents(dir / "all") == contents(dir / "alone"));

    const auto& report = sets[0].manifest.report;
    INFO(report.dump(1));
    std::map<std::string, json> rejected;
    for (const json& r : lines(dir / "all/rejected.jsonl")) rejected[r.value("id", "")] = r;
    CHECK(rejected.size() == 7);
    // The twin by its arXiv id, the near and the exact copy: of each pair one stays, the longer or by its key.
    int twins = 0, copies = 0;
    for (const auto& [id, r] : rejected) {
      twins += (id == "doi:10.1/twin" || id == "arXiv:2101.01001") && r.at("reason") == "duplicate: near";
      copies += (id == "doi:10.2/near" || id == "doi:10.3/exact" || id == "arXiv:2101.01003") &&
                r.at("reason").get<std::string>().starts_with("duplicate: ");
      if (r.at("reason").get<std::string>().starts_with("duplicate"))
        CHECK(r.at("detail").get<std::string>().starts_with("kept: store:"));
    }
    CHECK(twins == 1);
    CHECK(copies == 2);
    CHECK(rejected.at("doi:10.4/closed").at("reason") == "licence: elsevier-tdm");
    CHECK(rejected.at("doi:10.5/none").at("reason") == "store: no full text");
    CHECK(rejected.at("doi:10.6/de").at("reason") == "language: de");
    CHECK(rejected.at("arXiv:2101.01005").at("reason") == "in an evaluation set");
    CHECK(rejected.at("arXiv:2101.01005").at("where") == "store:6");
    CHECK(report.at("rejected").at("in an evaluation set") == 1);

    const auto papers = lines(dir / "all/manifest.jsonl");
    CHECK(papers.size() == 46 - 7);
    for (const json& p : papers) {
      for (const char* key : {"id", "title", "authors", "licence", "tokens", "split", "source"}) CHECK(p.contains(key));
      CHECK(p.at("licence") == "cc-by-4.0");
      CHECK(p.at("tokens_by_kind").at("theorem") > 0);
    }
    const auto found = splits_of(dir / "all", {Split::train, Split::validation, Split::test});
    CHECK(found.size() == papers.size() + 1);
    for (const auto& [source, in] : found) CHECK(in.size() == 1);
    for (const json& p : papers)
      CHECK(split_name(*found.at(p.at("source")).begin()) == p.at("split").get<std::string>());

    const auto task = lines(dir / "all/task-physics.jsonl");
    CHECK(task.size() > 3);
    for (const json& q : task) {
      CHECK_FALSE(q.at("question").get<std::string>().empty());
      CHECK_FALSE(q.at("answer").get<std::string>().empty());
      CHECK(found.at("store/" + q.at("paper").get<std::string>()) == std::set{Split::test});
      CHECK((q.at("paper").get<std::string>().back() - '0') % 2 == 0);  // odd ones are mathematics
    }
    CHECK(report.at("balance").at("field").size() == 3);
    CHECK_NOTHROW(inspect(dir / "all/text", true));
    CHECK_NOTHROW(inspect(dir / "all/pairs", true));
  }
  world().barrier();
}

TEST_CASE("folds part the papers; weights repeat and thin out") {
  const TempDir keep;
  const fs::path dir = shared_folder(keep);
  if (world().rank() == 0) write_store(dir);
  world().barrier();
  std::map<std::string, int> held_out;
  std::set<std::string> tests;
  for (std::uint64_t fold = 0; fold < 3; ++fold) {
    BuildOptions o = options(dir, "fold" + std::to_string(fold));
    o.split.folds = 3;
    o.split.fold = fold;
    o.inputs.resize(1);
    build_sets(world(), o);
    if (world().rank() == 0)
      for (const json& p : lines(o.out / "manifest.jsonl")) {
        if (p.at("split") == "validation") ++held_out[p.at("id")];
        if (p.at("split") == "test") tests.insert(p.at("id").get<std::string>());
      }
    world().barrier();
  }
  if (world().rank() == 0) {
    CHECK(held_out.size() + tests.size() == 39);
    for (const auto& [id, n] : held_out) CHECK((n == 1 && !tests.contains(id)));
  }
  BuildOptions o = options(dir, "weighted");
  o.weights = {parse_weight("field=mathematics:3"), parse_weight("kind=section:0"), parse_weight("kind=abstract:0.5")};
  o.pairs.together = true;
  const auto sets = build_sets(world(), o);
  REQUIRE(sets.size() == 1);
  const auto& balance = sets[0].manifest.report.at("balance");
  const auto documents = [&](const char* what, const char* name) {
    return balance.at(what).at(name).at("train").at("documents").get<int>();
  };
  CHECK_FALSE(balance.at("kind").at("section").contains("train"));
  CHECK(documents("field", "mathematics") > 2 * documents("field", "physics"));
  CHECK(documents("kind", "abstract") < documents("kind", "definition"));
  if (world().rank() == 0) {
    const Corpus c({dir / "weighted"}, Split::train);
    std::map<std::uint64_t, int> copies;
    for (std::uint64_t i = 0; i < c.documents(); ++i) ++copies[c.document(i).hash];
    std::set<int> seen;
    for (const auto& [hash, n] : copies) seen.insert(n);
    CHECK(seen.contains(3));
    CHECK(*seen.rbegin() == 3);
  }
  world().barrier();
}
