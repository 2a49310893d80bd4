// What is read and what is not: stores of finished, unfinished and empty crawls, wherever they lie; --out within
// --input; payloads that are not what the crawl has written.
#include "shard/inputs.h"

#include "catch.h"
#include "comm/self_communicator.h"
#include "errors.h"
#include "made_tokenizer.h"
#include "shard/build.h"
#include "support.h"
#include "synthetic_store.h"

using namespace eddy::shard;
using eddy_test::caught;
using eddy_test::TempDir;
using eddy_test::write_file;
namespace fs = std::filesystem;

namespace {
/// The folders of a crawl, with a record and no papers.
void begin_crawl(const fs::path& dir) {
  for (const char* name : {"records", "payloads", "state"}) fs::create_directories(dir / name);
  write_file(dir / "records/rank-0000.jsonl",
             "{\"key\": \"s2 GET /paper/x\", \"ok\": true, \"text\": \"an answer\"}\n");
}
const std::string kPaper = "{\"id\": \"doi:10.1/a\", \"title\": \"A\", \"payload\": null}\n";
}  // namespace

TEST_CASE("a crawl without papers is no folder of documents") {
  const TempDir dir;
  begin_crawl(dir / "store");
  const auto listing = [&](const fs::path& input) { return caught([&] { list_inputs({input.string()}); }); };
  const auto unfinished = listing(dir / "store");
  CHECK(unfinished.status == 2);
  CHECK(unfinished.says((dir / "store").string() + ": a crawl that has not come to its papers.jsonl"));
  CHECK(listing(dir.path()).says("a crawl that has not come to its papers.jsonl"));  // below a folder that is searched
  write_file(dir / "store/papers.jsonl", "");
  CHECK(listing(dir / "store").says("a crawl without papers"));
  write_file(dir / "store/papers.jsonl", "torn");
  CHECK(listing(dir / "store").says("the first line of its papers.jsonl is no paper"));
  CHECK(listing(dir / "store").status == 2);
  fs::remove_all(dir / "store/state");  // a folder of the user's own that is named so
  fs::remove(dir / "store/papers.jsonl");
  CHECK(list_inputs({(dir / "store").string()}).files.size() == 1);
}

TEST_CASE("a store below a folder that is searched is a store") {
  const TempDir dir;
  begin_crawl(dir / "in/crawls/one");
  write_file(dir / "in/crawls/one/papers.jsonl", kPaper);
  write_file(dir / "in/a.md", "text");
  const InputList list = list_inputs({(dir / "in").string()});
  REQUIRE(list.files.size() == 2);
  CHECK(list.files[0].name == "in/a.md");
  CHECK(list.files[1].name == "in/crawls/one");
  CHECK(list.files[1].store);
  CHECK(list.files[1].root == (dir / "in/crawls/one").string());
}

TEST_CASE("--out and --input do not lie within each other") {
  const TempDir dir;
  fs::create_directories(dir / "in/deep");
  write_file(dir / "in/a.md", "text");
  fs::create_directory_symlink(dir / "in", dir / "link");
  const std::vector<std::string> inputs{(dir / "in").string()};
  const auto refused = [&](const std::vector<std::string>& in, const fs::path& out) {
    const auto c = caught([&] { check_apart(in, out); });
    CHECK(c.says("lie within each other"));
    CHECK(c.status == 2);
  };
  refused(inputs, dir / "in");
  refused(inputs, dir / "in/out");
  refused(inputs, dir / "in/deep/out/");
  refused(inputs, dir / "elsewhere/../in/out");
  refused(inputs, dir / "link/out");
  refused({(dir / "link/").string()}, dir / "in/out");
  refused({(dir / "in/deep").string()}, dir / "in");
  CHECK_NOTHROW(check_apart(inputs, dir / "in-out"));
  CHECK_NOTHROW(check_apart(inputs, dir / "out"));
  CHECK_NOTHROW(check_apart({(dir / "in/a.md").string()}, dir / "in/out"));  // a file alone: nothing is searched
  write_file(dir / "tokenizer.json", eddy_test::tokenizer_json());
  const auto built = caught([&] {
    build_sets(*eddy::comm::self_communicator("alone"),
               {.inputs = inputs, .tokenizer = dir / "tokenizer.json", .out = dir / "in/out"});
  });
  CHECK(built.says("lie within each other"));
  CHECK_FALSE(fs::exists(dir / "in/out"));
}

TEST_CASE("a damaged payload is rejected by name, and counted") {
  const TempDir dir;
  eddy_test::StoreMaker store;
  const std::string paper = eddy_test::made_paper(1, "On the flow of kind 1");
  // printf abc | sha256sum
  const std::string of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  store.add("doi:10.1/damaged", "On the flow of kind 1", paper, {}, {{"sha256", of_abc}});
  store.add("doi:10.1/unsaid", "On the flow of kind 2", eddy_test::made_paper(2, "On the flow of kind 2"));
  store.add("doi:10.1/abc", "On three letters alone", "abc", {}, {{"sha256", of_abc}});
  store.write(dir / "store");
  write_file(dir / "tokenizer.json", eddy_test::tokenizer_json());
  BuildOptions o{.inputs = {(dir / "store").string()}, .tokenizer = dir / "tokenizer.json", .out = dir / "out"};
  o.screen.papers = "none";
  const auto sets = build_sets(*eddy::comm::self_communicator("alone"), o);
  const auto& rejected = sets.at(0).manifest.report.at("rejected");
  INFO(rejected.dump());
  CHECK(rejected.at("store: a payload is damaged") == 1);
  const std::string lines = eddy_test::read_file(dir / "out/rejected.jsonl");
  INFO(lines);
  CHECK(lines.find("\"id\":\"doi:10.1/damaged\",\"reason\":\"store: a payload is damaged\"") != std::string::npos);
  CHECK(lines.find("papers.jsonl says " + of_abc) != std::string::npos);
  CHECK(lines.find("doi:10.1/unsaid") == std::string::npos);
  CHECK((lines.find("doi:10.1/abc") == std::string::npos ||
         lines.find("\"doi:10.1/abc\",\"reason\":\"store: a payload is damaged") == std::string::npos));
}
