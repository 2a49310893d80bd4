#pragma once
// The test server and eddy-crawl as processes of a test.
#include <sys/types.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support.h"

namespace eddy_test {

/// A program that runs beside the test, and dies with it.
class Child {
 public:
  Child(std::vector<std::string> argv, const std::filesystem::path& output);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  bool running();
  int wait(int timeout_s = 180);  ///< exit status; 124 after the time-out, 128 + signal where one ended it
  void signal(int number) const;
  void kill_all();  ///< SIGKILL to it and everything it started, at once

 private:
  pid_t pid_;
  int status_ = -1;
};

/// tests/crawl/server.cpp over `papers` made-up papers.
class TestServer {
 public:
  TestServer(const std::filesystem::path& folder, int papers, const std::string& faults);
  int port() const { return port_; }
  /// Requests as they arrived.
  std::vector<nlohmann::json> log() const;
  std::size_t requests() const { return log().size(); }

 private:
  std::filesystem::path log_;
  std::unique_ptr<Child> child_;
  int port_ = 0;
};

constexpr const char* kContact = "tester@example.org";
/// Intervals of the test's services, seconds.
const std::map<std::string, double> kIntervals{{"s2", 0.02},       {"arxiv", 0.05},     {"crossref", 0.025},
                                               {"openalex", 0.02}, {"unpaywall", 0.02}, {"host", 0.02}};

/// eddy-crawl's command line against the server, under mpiexec where ranks > 0.
std::vector<std::string> crawl_command(const TestServer& server, const std::filesystem::path& out, int ranks,
                                       std::vector<std::string> more = {});

/// These options and the first papers of the walks' and rules' tests.
std::vector<std::string> with_seeds(std::vector<std::string> more = {});
/// Runs crawl_command.
RunResult crawl(const TestServer& server, const std::filesystem::path& out, int ranks,
                const std::vector<std::string>& more);

/// A JSON value a line.
std::vector<nlohmann::json> read_lines(const std::filesystem::path& file);
/// papers.jsonl by id.
std::map<std::string, nlohmann::json> papers_of(const std::filesystem::path& store);
/// All records of a store by their key.
std::map<std::string, nlohmann::json> records_of(const std::filesystem::path& store);
/// The record's key of a request in the server's log.
std::string key_of(const nlohmann::json& request);
/// papers.jsonl and candidates.jsonl with the server's port taken out.
std::string results_of(const std::filesystem::path& store, const TestServer& server);
/// The first line in which two texts differ, as both have it; "" for equal ones.
std::string first_difference(const std::string& a, const std::string& b);
/// The first of the store's payloads whose bytes are not what papers.jsonl says; "" when all are.
std::string wrong_payload(const std::filesystem::path& store);

}  // namespace eddy_test
