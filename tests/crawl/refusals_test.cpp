// Crawls that cannot work: what is refused at the start, and what a crawl that reached nothing ends with.
#include "catch.h"
#include "harness.h"
#include "net/client.h"
#include "refusal.h"
#include "world.h"

using namespace eddy_test;
namespace fs = std::filesystem;

namespace {

std::vector<std::string> replaced(std::vector<std::string> command, const std::string& from, const std::string& to) {
  for (std::string& word : command)
    if (const auto at = word.find(from); at != std::string::npos) word.replace(at, from.size(), to);
  return command;
}

/// A certificate in PEM form; "" where there is no openssl program.
std::string certificate(const TempDir& dir) {
  const auto made = run({"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", dir / "key", "-out",
                         dir / "cert.pem", "-days", "2", "-subj", "/CN=localhost"});
  return made.status == 0 ? (dir / "cert.pem").string() : "";
}

/// Every file below a folder with its content.
std::map<std::string, std::string> contents(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& e : fs::recursive_directory_iterator(folder))
    files[e.path().string()] = e.is_regular_file() ? read_file(e.path()) : "(folder)";
  return files;
}

}  // namespace

TEST_CASE("a folder that is no store is refused as --out, and stays as it was") {
  const TempDir dir;
  const TestServer server(dir.path(), 10, "none");
  fs::create_directories(dir / "thesis/chapters");
  write_file(dir / "thesis/chapters/one.tex", "Chapter one");
  write_file(dir / "thesis/notes.txt", "notes");
  write_file(dir / "file", "a file");
  const auto before = contents(dir / "thesis");
  for (const int ranks : {0, 2}) {
    const RunResult r = crawl(server, dir / "thesis", ranks, with_seeds());
    INFO(r.err);
    CHECK(r.status == 2);
    CHECK(lacks(r.err, {"--out " + (dir / "thesis").string(), "no store of eddy-crawl", "choose another"}) == "");
    CHECK(contents(dir / "thesis") == before);
  }
  for (const char* out : {"file", "file/store"}) {
    const RunResult r = crawl(server, dir / out, 0, with_seeds());
    INFO(r.err);
    CHECK(r.status == 2);
    CHECK(lacks(r.err, {"--out " + (dir / out).string(), "choose another"}) == "");
  }
  CHECK(read_file(dir / "file") == "a file");
  CHECK(server.requests() == 0);
  fs::create_directories(dir / "empty");
  CHECK(crawl(server, dir / "empty", 0, with_seeds({"--walk.depth=0", "--payload.download=none"})).status == 0);
}

TEST_CASE("certificates and proxies that cannot be used are refused by name, before anything is made or asked") {
  const TempDir dir;
  const TestServer server(dir.path(), 10, "none");
  write_file(dir / "words.pem", "no certificate here\n");
  write_file(dir / "torn.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  const auto refused = [&](const std::string& option, std::initializer_list<std::string> parts, int ranks = 0) {
    const RunResult r = crawl(server, dir / "store", ranks, with_seeds({option}));
    INFO(option << "\n" << r.err);
    CHECK(r.status == 2);
    CHECK(lacks(r.err, parts) == "");
    CHECK_FALSE(fs::exists(dir / "store"));
  };
  refused("--net.ca_file=" + (dir / "none.pem").string(), {"net.ca_file", "none.pem", "No such file"});
  refused("--net.ca_file=" + dir.path().string(), {"net.ca_file"});
  refused("--net.ca_file=" + (dir / "words.pem").string(), {"net.ca_file", "words.pem", "PEM"}, 2);
  refused("--net.ca_file=" + (dir / "torn.pem").string(), {"net.ca_file", "torn.pem", "no certificate"});
  int port = 0;
  {
    const TestServer gone(dir.path(), 1, "gone");
    port = gone.port();
  }
  const std::string dead = "http://127.0.0.1:" + std::to_string(port);
  refused("--net.proxy=" + dead, {"net.proxy = '" + dead, "takes no connection"}, 2);
  refused("--net.proxy=http://no-such-host.invalid:3128", {"net.proxy", "no-such-host.invalid"});
  refused("--net.proxy=gopher://proxy:70", {"net.proxy", "no URL of a proxy"});
  refused("--net.proxy=http://", {"net.proxy", "no URL of a proxy"});
  CHECK(server.requests() == 0);

  eddy::net::ClientOptions good;
  good.proxy = "127.0.0.1:" + std::to_string(server.port());
  CHECK(eddy::net::trouble_with(good) == "");
  good.ca_file = certificate(dir);
  if (!good.ca_file.empty()) CHECK(eddy::net::trouble_with(good) == "");
}

TEST_CASE("a crawl that reached no server fails and says why; nothing is lost, and --retry.failed goes on") {
  const TempDir dir;
  const TestServer server(dir.path(), 10, "none");
  const std::vector<std::string> more = with_seeds({"--walk.depth=1", "--payload.download=none"});
  const auto command = crawl_command(server, dir / "store", 0, more);
  int port = 0;
  {
    const TestServer gone(dir.path(), 1, "gone");
    port = gone.port();
  }
  const std::string here = "http://127.0.0.1:" + std::to_string(server.port()),
                    dead = "http://127.0.0.1:" + std::to_string(port);
  const RunResult none = run(replaced(command, here, dead));
  INFO(none.err);
  CHECK(none.status == 1);
  CHECK(lacks(none.err, {"no server could be reached", "s2: no connection", "net.proxy", "--retry.failed",
                         "Couldn't connect"}) == "");
  CHECK(papers_of(dir / "store").empty());
  CHECK_FALSE(records_of(dir / "store").empty());
  // What was given up is remembered: still nothing is known of any paper.
  const RunResult again = run(command);
  INFO(again.err);
  CHECK(again.status == 1);
  CHECK(lacks(again.err, {"nothing was learnt", "--retry.failed"}) == "");
  auto retried = command;
  retried.push_back("--retry.failed");
  REQUIRE(run(retried).status == 0);
  REQUIRE(run(crawl_command(server, dir / "fresh", 0, more)).status == 0);
  CHECK(first_difference(results_of(dir / "store", server), results_of(dir / "fresh", server)) == "");
  // A store that has papers fails as well when nothing can be reached for what is new.
  const RunResult deeper = run(replaced(replaced(command, here, dead), "--walk.depth=1", "--walk.depth=2"), 2);
  INFO(deeper.err);
  CHECK(deeper.status == 1);
  CHECK(lacks(deeper.err, {"no server could be reached"}) == "");
  CHECK(papers_of(dir / "store").size() >= papers_of(dir / "fresh").size());
}

TEST_CASE("certificates of somebody else: the crawl fails and names TLS") {
  const TempDir dir;
  const TestServer server(dir.path(), 10, "none");
  const std::string ca = certificate(dir);
  if (ca.empty()) return skip("there is no openssl program");
  const auto command =
      replaced(crawl_command(server, dir / "store", 0, with_seeds({"--walk.depth=0", "--net.ca_file=" + ca})),
               "http://", "https://");
  const RunResult r = run(command);
  INFO(r.err);
  CHECK(r.status == 1);
  CHECK(lacks(r.err, {"no server could be reached", "s2: TLS", "net.ca_file"}) == "");
}
