// What a crawl takes, leaves out and keeps to itself.
#include <csignal>
#include <set>
#include <thread>

#include "catch.h"
#include "harness.h"
#include "world.h"

using namespace eddy_test;
namespace fs = std::filesystem;

TEST_CASE("limits hold, and what they left out is told") {
  const TempDir dir;
  const TestServer server(dir.path(), 60, "none");
  const auto report_of = [&](const std::string& name, const std::vector<std::string>& more) {
    const RunResult result = crawl(server, dir / name, 0, with_seeds(more));
    INFO(result.err);
    REQUIRE(result.status == 0);
    return nlohmann::json::parse(read_file(dir / name / "report.json"));
  };
  const auto papers =
      report_of("papers", {"--limit.papers=7", "--payload.download=none", "--api.arxiv.licences=false"});
  CHECK(papers.at("papers") == 7);
  CHECK(papers.at("left_out").at("limit.papers") > 0);

  const auto years =
      report_of("years", {"--limit.year_min=2000", "--payload.download=none", "--api.arxiv.licences=false"});
  for (const auto& [id, p] : papers_of(dir / "years")) CHECK((p.at("depth") == 0 || p.at("year") >= 2000));
  CHECK(years.at("left_out").at("limit.year_min") > 0);

  const auto words =
      report_of("words", {"--limit.keywords=vortex", "--payload.download=none", "--api.arxiv.licences=false"});
  CHECK(words.at("left_out").at("limit.keywords") > 0);
  for (const auto& [id, p] : papers_of(dir / "words"))
    CHECK((p.at("depth") == 0 || p.dump().find("vortex") != std::string::npos));

  const auto scores =
      report_of("scores", {"--limit.score=0.5", "--payload.download=none", "--api.arxiv.licences=false"});
  CHECK(scores.at("left_out").at("limit.score") > 0);
  for (const auto& c : read_lines(dir / "scores/candidates.jsonl"))
    CHECK((c.at("decision") == "taken") == (c.at("score") >= 0.5));

  const auto bytes = report_of("bytes", {"--limit.bytes=9000"});
  CHECK(bytes.at("payload_bytes") <= 9000);
  CHECK(bytes.at("payload_bytes") > 4000);
  CHECK(bytes.at("no_payload").at("limit.bytes") > 0);
  const auto small = report_of("small", {"--payload.bytes=1800"});
  CHECK(small.at("no_payload").at("too large") > 0);
}

TEST_CASE("seeds: an author's publications, BibTeX, and what cannot be found") {
  const TempDir dir;
  const World world(60);
  const TestServer server(dir.path(), world.size(), "none");
  for (const std::string author : {"7", "Ada Test"}) {
    const fs::path store = dir / ("author" + author);
    const RunResult result = run(crawl_command(
        server, store, 0,
        {"--from.author", author, "--walk.depth=1", "--payload.download=none", "--api.arxiv.licences=false"}));
    INFO(result.err);
    REQUIRE(result.status == 0);
    int first = 0;
    for (const auto& [id, p] : papers_of(store)) first += p.at("depth") == 0;
    CHECK(first == 5);
  }
  write_file(dir / "seeds.bib", "@string{x = {y}}\n@article{a, title = {" + world.paper(11).title +
                                    "},\n year = 2001}\n@misc{b, eprint = \"2101.00005\", archivePrefix = {arXiv}}\n"
                                    "@article{c, title = {{Nobody} wrote this paper}, year = {1999}}\n");
  const RunResult result =
      run(crawl_command(server, dir / "bib", 0,
                        {"--from", (dir / "seeds.bib").string(), "10.5555/unknown.1", "--walk.depth=0",
                         "--payload.download=none", "--api.arxiv.licences=false"}));
  INFO(result.err);
  REQUIRE(result.status == 0);
  const auto papers = papers_of(dir / "bib");
  CHECK(papers.count("arxiv:2101.00005") == 1);
  CHECK(papers.count("s2:" + world.paper(11).s2) == 1);
  CHECK(papers.size() == 2);
  const auto report = nlohmann::json::parse(read_file(dir / "bib/report.json"));
  CHECK(report.at("seeds_not_found").dump().find("Nobody wrote this paper") != std::string::npos);
  CHECK(report.at("left_out").at("no title") == 1);  // the unknown DOI

  const RunResult none = run(crawl_command(server, dir / "none", 0, {"--from.author", "Nobody"}));
  CHECK(none.status == 1);
  CHECK(none.err.find("none of the papers or authors") != std::string::npos);
}

TEST_CASE("lasting faults are given up, with their reasons, and the rest goes on") {
  const TempDir dir;
  const TestServer server(dir.path(), 60, "lasting");
  const RunResult result = crawl(server, dir / "store", 4, with_seeds());
  INFO(result.err);
  REQUIRE(result.status == 0);
  const auto report = nlohmann::json::parse(read_file(dir / "store/report.json"));
  const std::string failures = report.at("failures").dump();
  for (const char* reason : {"HTTP 500", "not found", "decompression bomb", "redirects in a loop"}) {
    INFO(reason << " in " << failures);
    CHECK(failures.find(reason) != std::string::npos);
  }
  CHECK(wrong_payload(dir / "store") == "");
  std::map<std::string, int> asked;
  for (const auto& request : server.log()) ++asked[key_of(request)];
  for (const auto& [key, n] : asked) {
    INFO(key);
    CHECK(n <= 4);
  }

  // Given up is given up, until it is asked for.
  const std::size_t before = server.requests();
  REQUIRE(crawl(server, dir / "store", 0, with_seeds()).status == 0);
  CHECK(server.requests() == before);
  REQUIRE(crawl(server, dir / "store", 0, with_seeds({"--retry.failed", "--retry.attempts=1"})).status == 0);
  const auto log = server.log();
  CHECK(log.size() > before);
  std::set<std::string> failed;
  for (const auto& f : report.at("failures")) failed.insert(f.at("key").get<std::string>());
  int again = 0;
  for (std::size_t i = before; i < log.size(); ++i) again += static_cast<int>(failed.count(key_of(log[i])));
  CHECK(again >= static_cast<int>(failed.size()));
}

TEST_CASE("references that Semantic Scholar lacks come from Crossref, which is asked once") {
  const TempDir dir;
  const World world(60);
  const TestServer server(dir.path(), world.size(), "none");
  REQUIRE_FALSE(world.paper(9).at_s2);
  const RunResult result =
      run(crawl_command(server, dir / "store", 0, {"--from", world.paper(9).doi, "--walk.depth=1"}));
  INFO(result.err);
  REQUIRE(result.status == 0);
  std::set<std::string> expected{"doi:" + world.paper(9).doi}, found;
  for (const int k : world.paper(9).references)
    if (!world.paper(k).doi.empty())
      expected.insert(world.paper(k).arxiv.empty() ? "doi:" + world.paper(k).doi : "arxiv:" + world.paper(k).arxiv);
  for (const auto& [id, p] : papers_of(dir / "store")) found.insert(id);
  CHECK(found == expected);
  CHECK(expected.size() > 1);
  std::map<std::string, int> asked;
  for (const auto& request : server.log()) ++asked[key_of(request)];
  for (const auto& [key, n] : asked) {
    INFO(key);
    CHECK(n == 1);
  }
}

TEST_CASE("keys reach the service they are for, and nothing else") {
  const TempDir dir;
  const TestServer server(dir.path(), 30, "none");
  const std::string key = "S3cretKey-for%tests", alex = "alexKey0123456789";
  write_file(dir / "key", key + "\n");
  write_file(dir / "alex", alex);
  fs::permissions(dir / "key", fs::perms::owner_read | fs::perms::owner_write);
  fs::permissions(dir / "alex", fs::perms::owner_read | fs::perms::owner_write);
  const auto options = with_seeds({"--api.s2.key_file=" + (dir / "key").string(),
                                   "--api.openalex.key_file=" + (dir / "alex").string(), "--walk.depth=1"});
  const RunResult result = crawl(server, dir / "store", 2, options);
  INFO(result.err);
  REQUIRE(result.status == 0);
  int with_key = 0, at_openalex = 0;
  for (const auto& request : server.log()) {
    CHECK((request.at("key") == key) == (request.at("service") == "s2"));
    with_key += request.at("key") == key;
    const bool told = request.at("target").get<std::string>().find(alex) != std::string::npos;
    CHECK(told == (request.at("service") == "openalex"));
    at_openalex += told;
  }
  CHECK(with_key > 0);
  CHECK(at_openalex > 0);
  std::string everything = result.out + result.err;
  for (const auto& e : fs::recursive_directory_iterator(dir / "store"))
    if (e.is_regular_file()) everything += read_file(e.path());
  CHECK(everything.find(key) == std::string::npos);
  CHECK(everything.find(alex) == std::string::npos);

  fs::permissions(dir / "key", fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read);
  const RunResult open = crawl(server, dir / "open", 0, options);
  CHECK(open.status == 2);
  CHECK(open.err.find("chmod 600") != std::string::npos);
  CHECK(open.err.find(key) == std::string::npos);
}
