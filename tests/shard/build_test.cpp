// The build on several ranks: the same bytes as on one, bad documents counted, failures that leave nothing behind.
#include "shard/build.h"

#include <cstring>
#include <map>

#include "catch.h"
#include "comm/self_communicator.h"
#include "comm/session.h"
#include "errors.h"
#include "made_tokenizer.h"
#include "shard/corpus.h"
#include "shard/inspect.h"
#include "support.h"

using namespace eddy::shard;
using eddy_test::caught;
using eddy_test::TempDir;
using eddy_test::write_file;
namespace fs = std::filesystem;

namespace {
eddy::comm::Session& session() {
  static eddy::comm::Session* s = new eddy::comm::Session;  // MPI is the test's main's to finalize, after all statics
  return *s;
}
eddy::comm::Communicator& world() {
  return session().world();
}

/// A folder that all ranks see; rank 0's lives as long as `keep`.
fs::path shared_folder(const TempDir& keep) {
  char path[512] = {};
  std::strncpy(path, keep.path().c_str(), sizeof path - 1);
  world().broadcast(path, sizeof path, eddy::Dtype::u8, 0);
  return path;
}

void write_inputs(const fs::path& dir) {
  const fs::path in = dir / "in";
  fs::create_directories(in / "paper" / "parts");
  write_file(in / "paper" / "main.tex",
             "\\documentclass{a}\\begin{document}The theorem.\n\\input{parts/one}\\end{document}");
  write_file(in / "paper" / "parts" / "one.tex", "The lemma of the primes, at length.");
  write_file(in / "blank.md", "\n");
  write_file(in / "latin.txt", "caf\xE9");
  write_file(in / "note.txt", "A note on sums.\n");
  std::string lines;
  for (int i = 0; i < 300; ++i) {
    const std::string n = std::to_string(i * 7919 % 1000);
    if (i % 50 == 10)
      lines += "{\"text\": broken " + n + "}\n";
    else if (i % 3 == 0)
      lines += "{\"prompt\": \"sum of " + n + "?\", \"response\": \"the sum is " + n + n + "\"}\n";
    else
      lines += "{\"text\": \"the primes below " + std::string(static_cast<std::size_t>(i % 40), '.') + n + "\"}\n";
  }
  write_file(in / "pairs.jsonl", lines);
  write_file(dir / "tokenizer.json", eddy_test::tokenizer_json());
}

BuildOptions options(const fs::path& dir, const std::string& out) {
  return {.inputs = {(dir / "in").string()},
          .tokenizer = dir / "tokenizer.json",
          .out = dir / out,
          .split = {.validation = 0.2, .test = 0.1},
          .shard_tokens = 700,
          .slice_bytes = 500};
}

std::map<std::string, std::string> contents(const fs::path& dir) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(dir))
    files[entry.path().lexically_relative(dir).string()] =
        entry.is_regular_file() ? eddy_test::read_file(entry.path()) : "folder";
  return files;
}
}  // namespace

TEST_CASE("the same bytes whatever the number of ranks") {
  const TempDir keep;
  const fs::path dir = shared_folder(keep);
  if (world().rank() == 0) write_inputs(dir);
  world().barrier();
  const Manifest manifest = build_dataset(world(), options(dir, "all"));
  CHECK(manifest.shards.size() > 8);
  if (world().rank() == 0) {
    const auto alone = eddy::comm::self_communicator("alone");
    build_dataset(*alone, options(dir, "alone"));
    const auto a = contents(dir / "all"), b = contents(dir / "alone");
    REQUIRE(a.size() == manifest.shards.size() + 5);  // the tokenizer, the manifest, two lists, what it was told
    for (const auto& [name, bytes] : b) {
      INFO(name);
      CHECK((a.contains(name) && a.at(name) == bytes));
    }
    CHECK(a.size() == b.size());

    const auto shown = inspect(dir / "all", true);
    const auto& report = shown.at("report");
    CHECK(report.at("documents") == 294 + 2);
    CHECK(report.at("rejected") == nlohmann::ordered_json({{"JSON: malformed", 6}, {"no text", 1}, {"not UTF-8", 1}}));
    CHECK(report.at("files").at("tex_parts_of_others") == 1);
    const auto& first = report.at("first_rejected");
    REQUIRE(first.size() == 8);
    CHECK(first[0].at("where") == "in/blank.md");
    CHECK(first[2].at("where") == "in/pairs.jsonl:11");
    CHECK(first[7].at("where") == "in/pairs.jsonl:261");
    std::uint64_t documents = 0;
    for (const auto& [name, split] : shown.at("splits").items())
      documents += split.at("documents").get<std::uint64_t>();
    CHECK(documents == 296);
    CHECK(shown.at("splits").size() == 3);
    CHECK(shown.at("splits").at("train").at("masked_share").get<double>() > 0.05);
  }
  world().barrier();
}

TEST_CASE("documents come in the order of the input, with their sources") {
  const TempDir keep;
  const fs::path dir = shared_folder(keep);
  if (world().rank() == 0) write_inputs(dir);
  world().barrier();
  BuildOptions o = options(dir, "out");
  o.split = {.validation = 0, .test = 0};
  build_dataset(world(), o);
  if (world().rank() == 0) {
    const Corpus c({dir / "out"}, Split::train);
    const auto tokenizer = eddy::tokenize::Tokenizer::load(dir / "out" / "tokenizer.json");
    CHECK(c.tokenizer_hash() == tokenizer.hash());
    REQUIRE(c.documents() == 296);
    const auto text = [&](std::uint64_t i) {
      return tokenizer.decode(c.document(i).tokens, eddy::tokenize::Tokenizer::Special::skipped);
    };
    CHECK(text(0) == "A note on sums.\n");
    CHECK(text(1).find("sum of 0?") != std::string::npos);
    CHECK(text(2) == "the primes below .919");
    CHECK(text(295) == "The theorem. The lemma of the primes, at length.\n");
    const auto place = c.place(295);
    CHECK(c.shards()[place.shard].source_name(c.document(295).source) == "in/paper/main.tex");
    const std::string shown = document_text(c.document(1), tokenizer, 100, false);
    CHECK(shown.find("sum of 0?<｜Assistant｜>⟧the sum is 00") != std::string::npos);
    CHECK(shown.rfind("⟦<｜begin▁of▁sentence｜><｜User｜>", 0) == 0);
    CHECK(document_text(c.document(1), tokenizer, 3, false).find("more tokens") != std::string::npos);
  }
  world().barrier();
}

TEST_CASE("what cannot be built is refused on every rank, and nothing is left") {
  const TempDir keep;
  const fs::path dir = shared_folder(keep);
  if (world().rank() == 0) {
    write_inputs(dir);
    fs::create_directories(dir / "useless");
    write_file(dir / "useless" / "a.md", " ");
    write_file(dir / "notes.md", "no tokenizer");
    fs::create_directories(dir / "full");
    write_file(dir / "full" / "mine.txt", "keep me");
  }
  world().barrier();
  const auto refused = [&](auto change) {
    BuildOptions o = options(dir, "out");
    change(o);
    const auto c = caught([&] { build_dataset(world(), o); });
    world().barrier();
    CHECK_FALSE(fs::exists(dir / "out"));
    world().barrier();
    return c;
  };
  const auto missing = refused([&](BuildOptions& o) { o.inputs = {(dir / "nowhere").string()}; });
  CHECK(missing.status == 2);
  CHECK(missing.says("nowhere"));
  const auto tokenizer = refused([&](BuildOptions& o) { o.tokenizer = dir / "notes.md"; });
  CHECK(tokenizer.status == 2);
  CHECK(tokenizer.says("notes.md"));
  const auto nothing = refused([&](BuildOptions& o) { o.inputs = {(dir / "useless").string()}; });
  CHECK(nothing.status == 2);
  CHECK(nothing.says("no usable document"));
  CHECK(nothing.says("\"no text\":1"));
  CHECK(refused([&](BuildOptions& o) { o.split.test = 0.9; }).says("split.test"));
  const auto full = refused([&](BuildOptions& o) { o.out = dir / "full"; });
  CHECK(full.status == 2);
  CHECK(full.says("it is not empty (it holds mine.txt)"));
  CHECK(contents(dir / "full").size() == 1);
  CHECK(refused([&](BuildOptions& o) { o.out = dir / "notes.md"; }).says("not a directory"));
}

TEST_CASE("overwriting replaces an earlier build's files and no others") {
  const TempDir keep;
  const fs::path dir = shared_folder(keep);
  if (world().rank() == 0) write_inputs(dir);
  world().barrier();
  BuildOptions o = options(dir, "out");
  const auto first = build_dataset(world(), o);
  o.shard_tokens = 600;
  CHECK(caught([&] { build_dataset(world(), o); }).says("give --overwrite"));
  world().barrier();
  if (world().rank() == 0) {
    write_file(dir / "out" / "notes.txt", "mine");
    fs::create_directories(dir / "out" / ".partial");
    write_file(dir / "out" / ".partial" / "run", "of a run that was killed");
    write_file(dir / "out" / ".partial" / "spill-00000", "its texts");
  }
  world().barrier();
  o.overwrite = true;
  o.shard_tokens = 100000;
  const auto second = build_dataset(world(), o);
  if (world().rank() == 0) {
    CHECK(second.shards.size() == 3);
    CHECK(first.shards.size() > 3);
    const auto files = contents(dir / "out");
    CHECK(files.size() == 3 + 5 + 1);
    CHECK(files.contains("notes.txt"));
    CHECK_NOTHROW(inspect(dir / "out", true));
  }
  world().barrier();
}
