// eddy-shard with a GROBID server: the same shards on any number of ranks, what it fails on told, and what happens when
// it is not there, goes away, or the run is told to stop while it waits.
#include <signal.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "catch.h"
#include "extract/grobid_server.h"
#include "extract/small_pdf.h"
#include "made_tokenizer.h"
#include "refusal.h"
#include "support.h"

using namespace eddy_test;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

fs::path program(const std::string& name) {
  const char* bin = std::getenv("EDDY_BIN_DIR");
  return fs::path(bin ? bin : "bin") / name;
}

struct World {
  TempDir dir;
  GrobidServer server;
  World(const std::vector<std::string>& documents) {
    fs::create_directories(dir / "in");
    for (const std::string& d : documents) write_file(dir / ("in/" + d + ".pdf"), small_pdf(d));
    write_file(dir / "tokenizer.json", tokenizer_json());
  }
  std::vector<std::string> command(const std::string& out, std::vector<std::string> more = {}) const {
    std::vector<std::string> c{"eddy-shard",
                               "--input",
                               (dir / "in").string(),
                               "--tokenizer",
                               (dir / "tokenizer.json").string(),
                               "--out",
                               (dir / out).string(),
                               "--split.validation=0",
                               "--dedup.mode=exact",
                               "--commit-seconds=0",
                               "--extract.grobid=" + server.url()};
    c.insert(c.end(), more.begin(), more.end());
    return c;
  }
};

std::map<std::string, std::string> contents(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& e : fs::recursive_directory_iterator(folder))
    if (e.is_regular_file()) files[e.path().lexically_relative(folder).string()] = read_file(e.path());
  return files;
}

/// What manifest.jsonl says of GROBID, by source.
std::map<std::string, std::string> grobid_of(const fs::path& out) {
  std::map<std::string, std::string> found;
  std::istringstream in(read_file(out / "manifest.jsonl"));
  for (std::string line; std::getline(in, line);) {
    const json j = json::parse(line);
    found[j.at("source")] = j.value("grobid", "");
  }
  return found;
}

}  // namespace

TEST_CASE("the same shards on any number of ranks; what GROBID failed on is read by poppler and told") {
  World w({"good one", "good two", "busy one", "fail one"});
  write_file(w.dir / "in/own.md", "words of my own\n");
  const RunResult alone = run(w.command("alone"));
  INFO(alone.err);
  REQUIRE(alone.status == 0);
  const auto found = grobid_of(w.dir / "alone");
  CHECK(found.at("in/good one.pdf") == "used");
  CHECK(found.at("in/busy one.pdf") == "used");
  CHECK(found.at("in/own.md") == "");
  CHECK(lacks(alone.err, {"PDFs read by GROBID: 3", "PDFs not read by GROBID but by poppler: GROBID: HTTP 500: 1"}) ==
        "");
  const json manifest = json::parse(read_file(w.dir / "alone/manifest.json"));
  CHECK(manifest.at("report").at("options").at("grobid").at("version") == "0.8.1");
  CHECK(read_file(w.dir / "alone/manifest.json").find("127.0.0.1") == std::string::npos);
  if (fs::exists(program("eddy-pdf-text"))) CHECK(found.at("in/fail one.pdf") == "GROBID: HTTP 500");
  const RunResult sample = run({"eddy-shard", "sample", (w.dir / "alone").string(), "--n=20"});
  CHECK(lacks(sample.out, {"# On good two", "## 1 Introduction", "E = mc 2 , (1)"}) == "");

  for (const int ranks : {2, 4}) {
    const std::string out = "ranks" + std::to_string(ranks);
    const RunResult several = run(w.command(out), ranks);
    INFO(several.err);
    REQUIRE(several.status == 0);
    CHECK(contents(w.dir / out) == contents(w.dir / "alone"));
  }
}

TEST_CASE("no server at the start: status 2, once for all ranks, and nothing is made") {
  World w({"good one"});
  std::string gone;
  {
    const GrobidServer other;
    gone = other.url();
  }
  for (const int ranks : {0, 2}) {
    const RunResult r = run(w.command("out", {"--extract.grobid=" + gone}), ranks);
    INFO(r.err);
    CHECK(r.status == 2);
    CHECK(lacks(r.err, {"extract.grobid = " + gone, "no server answers there"}) == "");
    CHECK(r.err.find("no server answers") == r.err.rfind("no server answers"));
    CHECK_FALSE(fs::exists(w.dir / "out"));
  }
  const RunResult wrong = run(w.command("out", {"--extract.grobid=localhost:8070"}));
  CHECK(wrong.status == 2);
  CHECK(lacks(wrong.err, {"extract.grobid", "localhost:8070", "URL"}) == "");
}

TEST_CASE("a server that goes away fails the run; the same command goes on, with nothing asked twice") {
  World w({"good one", "slot busy", "z good"});
  fs::rename(w.dir / "in/slot busy.pdf", w.dir / "in/m.pdf");
  write_file(w.dir / "in/m.pdf", small_pdf("busy"));
  write_file(w.dir / "in/z good.pdf", small_pdf("good last"));
  w.server.busy = 1'000'000;
  const auto command = w.command("out", {"--extract.grobid-patience=1"});
  const RunResult failed = run(command);
  INFO(failed.err);
  CHECK(failed.status == 1);
  CHECK(lacks(failed.err, {"GROBID server at " + w.server.url(), "HTTP 503", "goes on from there"}) == "");
  CHECK_FALSE(fs::exists(w.dir / "out/manifest.json"));
  CHECK(w.server.asked("good") == 1);
  w.server.busy = 0;
  const RunResult done = run(command);
  INFO(done.err);
  REQUIRE(done.status == 0);
  CHECK(w.server.asked("good") == 2);  // the last one
  CHECK(lacks(done.err, {"goes on from an interrupted build"}) == "");
  REQUIRE(run(w.command("fresh", {"--extract.grobid-patience=1"})).status == 0);
  CHECK(contents(w.dir / "out") == contents(w.dir / "fresh"));
}

TEST_CASE("SIGTERM while a document is with the server: status 75, and what was done is kept") {
  World w({"good one", "slow one"});
  auto command = w.command("out");
  command[0] = program("eddy-shard");
  command.insert(command.begin(), {"/bin/sh", "-c", "echo $$ > \"$0\"; exec \"$@\"", (w.dir / "pid").string()});
  RunResult r;
  std::thread child([&] { r = run(command); });
  for (int i = 0; i < 4000 && w.server.asked("slow") == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  const pid_t pid = std::atoi(read_file(w.dir / "pid").c_str());
  if (pid > 0) kill(pid, SIGTERM);
  child.join();
  INFO(r.err);
  CHECK(r.status == 75);
  CHECK(lacks(r.err, {"the same command goes on from there"}) == "");
  CHECK(fs::exists(w.dir / "out/.partial"));
}
