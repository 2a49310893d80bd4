// eddy-crawl over a local server that speaks the formats of all services.
#include <csignal>
#include <set>
#include <thread>

#include "catch.h"
#include "harness.h"
#include "world.h"

using namespace eddy_test;
namespace fs = std::filesystem;

TEST_CASE("a walk of depth 2 finds what breadth-first search finds") {
  const TempDir dir;
  const World world(60);
  const TestServer server(dir.path(), world.size(), "none");
  const RunResult result = crawl(server, dir / "store", 4, with_seeds());
  INFO(result.err);
  REQUIRE(result.status == 0);
  const auto papers = papers_of(dir / "store");

  // The same by the world itself. A paper that Semantic Scholar lacks is followed by Crossref's references.
  std::map<int, int> depth{{0, 0}, {3, 0}};
  std::vector<int> level{0, 3};
  for (int d = 1; d <= 2; ++d) {
    std::vector<int> next;
    for (const int i : level)
      for (const int k : world.paper(i).references) {
        if (!world.paper(i).at_s2 && (world.paper(i).doi.empty() || world.paper(k).doi.empty())) continue;
        if (depth.emplace(k, d).second) next.push_back(k);
      }
    level = next;
  }
  std::set<std::string> expected;
  for (const auto& [i, d] : depth) {
    const WorldPaper w = world.paper(i);
    const std::string id = !w.arxiv.empty() ? "arxiv:" + w.arxiv : !w.doi.empty() ? "doi:" + w.doi : "s2:" + w.s2;
    expected.insert(id);
    INFO("paper " << i << " " << id);
    REQUIRE(papers.count(id) == 1);
    const auto& p = papers.at(id);
    CHECK(p.at("depth") == d);
    CHECK(p.at("title") == w.title);
    CHECK((p.at("year") == w.year));
    if (!w.arxiv.empty()) {
      CHECK(p.at("arxiv_version") == 1 + i % 3);
      CHECK(p.at("fields").back() == "math.AP");  // the primary category stands before the others
      const std::string kind = i % 10 == 0 || i % 14 == 4 ? "pdf" : i % 10 == 2 ? "tex" : "latex";
      REQUIRE(p.at("payload").is_object());
      CHECK(p.at("payload").at("kind") == kind);
      CHECK(p.at("licence") == (i % 4 == 0 ? "http://creativecommons.org/licenses/by/4.0/"
                                           : "http://arxiv.org/licenses/nonexclusive-distrib/1.0/"));
    } else if (!w.doi.empty()) {
      CHECK(p.at("payload").is_null() == (i % 4 == 1));
    } else {
      CHECK(p.at("payload").is_null());
      CHECK(p.at("missing").dump().find("payload") != std::string::npos);
    }
  }
  CHECK(papers.size() == expected.size());
  CHECK(expected.size() > 20);
  CHECK(wrong_payload(dir / "store") == "");

  // tar and the report agree.
  std::set<std::string> members;
  for (const auto& e : fs::directory_iterator(dir / "store/payloads")) {
    const RunResult listed = run({"tar", "-tf", e.path()});
    CHECK(listed.status == 0);
    members.insert(listed.out);
  }
  CHECK_FALSE(members.empty());
  const auto report = nlohmann::json::parse(read_file(dir / "store/report.json"));
  CHECK(report.at("finished") == true);
  CHECK(report.at("papers") == papers.size());
  CHECK(report.at("references_without_id") > 0);
  CHECK_FALSE(fs::exists(dir / "store/crawl.lock"));

  SECTION("the store is the same on 1 and 3 ranks, and with faults that pass") {
    for (const int ranks : {0, 3}) {
      const fs::path other = dir / ("store" + std::to_string(ranks));
      REQUIRE(crawl(server, other, ranks, with_seeds()).status == 0);
      CHECK(first_difference(results_of(other, server), results_of(dir / "store", server)) == "");
    }
    const TestServer shaky(dir.path(), world.size(), "passing");
    const RunResult shaken = crawl(shaky, dir / "shaken", 4, with_seeds());
    INFO(shaken.err);
    REQUIRE(shaken.status == 0);
    CHECK(first_difference(results_of(dir / "shaken", shaky), results_of(dir / "store", server)) == "");
    CHECK(shaky.requests() > server.requests() / 3 + 10);  // three walks there, one here
    CHECK(wrong_payload(dir / "shaken") == "");
  }
  SECTION("started again it asks nothing; with a greater depth it asks only for what is new") {
    const std::size_t before = server.requests();
    const std::string results = results_of(dir / "store", server);
    REQUIRE(crawl(server, dir / "store", 2, with_seeds()).status == 0);
    CHECK(server.requests() == before);
    CHECK(first_difference(results_of(dir / "store", server), results) == "");
    REQUIRE(crawl(server, dir / "store", 2, with_seeds({"--walk.depth=3"})).status == 0);
    CHECK(server.requests() > before);
    std::map<std::string, int> asked;
    for (const auto& request : server.log()) ++asked[key_of(request)];
    for (const auto& [key, n] : asked) {
      INFO(key);
      CHECK(n == 1);
    }
  }
}

TEST_CASE("a signal stops a crawl with status 75, and it goes on later") {
  const TempDir dir;
  const TestServer server(dir.path(), 60, "none");
  {
    Child child(crawl_command(server, dir / "store", 2, with_seeds()), dir / "out");
    for (int i = 0; i < 4000 && server.requests() < 20; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));

    // Meanwhile nobody else may crawl into the same folder.
    const RunResult second = crawl(server, dir / "store", 0, with_seeds());
    CHECK(second.status == 2);
    CHECK(second.err.find("is in use by a live run") != std::string::npos);

    child.signal(SIGUSR1);  // mpiexec forwards it
    const int status = child.wait();
    INFO(read_file(dir / "out"));
    CHECK(status == 75);
  }
  const auto stopped = nlohmann::json::parse(read_file(dir / "store/report.json"));
  CHECK(stopped.at("finished") == false);
  for (const int number : {SIGTERM, SIGINT}) {
    const std::size_t before = server.requests();
    Child child(crawl_command(server, dir / "store", 0, with_seeds()), dir / "out");
    for (int i = 0; i < 4000 && server.requests() < before + 3; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    child.signal(number);
    CHECK(child.wait() == 75);
  }
  REQUIRE(crawl(server, dir / "store", 2, with_seeds()).status == 0);
  REQUIRE(crawl(server, dir / "whole", 0, with_seeds()).status == 0);
  CHECK(first_difference(results_of(dir / "store", server), results_of(dir / "whole", server)) == "");
}
