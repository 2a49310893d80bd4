// SIGKILL at random moments, and going on: the same store, nothing asked twice, no rate exceeded.
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <random>
#include <thread>

#include "catch.h"
#include "harness.h"

using namespace eddy_test;
namespace fs = std::filesystem;

namespace {

/// Seconds by which the closest two requests to one service came closer than allowed, over all; 0: never.
double rate_excess(const std::vector<nlohmann::json>& log) {
  std::map<std::string, double> last;
  double excess = 0;
  for (const auto& request : log) {
    const std::string service = request.at("service");
    const auto interval = kIntervals.find(service.find(':') == std::string::npos ? service : "host");
    const double t = request.at("t");
    if (last.count(service)) excess = std::max(excess, interval->second - (t - last[service]));
    last[service] = t;
  }
  return excess < 2e-6 ? 0 : excess;  // times are written with microseconds
}

/// Kills a crawl `kills` times and lets it end. Its length is measured in requests, not in seconds.
void kill_and_go_on(const std::string& faults, int papers, int depth, int kills, int most_requests, unsigned seed) {
  const TempDir dir;
  const TestServer calm(dir.path(), papers, "none");
  const std::vector<std::string> from{"--from", "2101.00001", "10.5555/test.3",
                                      "--walk.depth=" + std::to_string(depth)};
  REQUIRE(run(crawl_command(calm, dir / "calm", 4, from)).status == 0);

  const fs::path other = dir / "other";
  fs::create_directories(other);
  const TestServer server(other, papers, faults);
  std::mt19937 random(seed);
  int killed = 0;
  std::vector<std::pair<std::size_t, std::map<std::string, nlohmann::json>>> committed;  // at each kill
  for (bool ended = false; !ended;) {
    Child child(crawl_command(server, dir / "store", 4, from), dir / "out");
    if (killed < kills) {
      const std::size_t enough = server.requests() + random() % static_cast<unsigned>(most_requests);
      while (child.running() && server.requests() < enough) std::this_thread::sleep_for(std::chrono::milliseconds(2));
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 40000));
      if (child.running()) {
        child.kill_all();
        ++killed;
        // What arrives at the server after this was sent before.
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        committed.emplace_back(server.requests(), records_of(dir / "store"));
        continue;
      }
    }
    const int status = child.wait();
    INFO(read_file(dir / "out"));
    REQUIRE(status == 0);
    ended = true;
  }
  std::printf("killed %d times, %zu requests, %zu records\n", killed, server.requests(),
              records_of(dir / "store").size());
  CHECK(killed == kills);
  CHECK(first_difference(results_of(dir / "store", server), results_of(dir / "calm", calm)) == "");
  CHECK(wrong_payload(dir / "store") == "");

  const auto log = server.log();
  CHECK(rate_excess(log) == 0);
  CHECK(rate_excess(calm.log()) == 0);
  for (const auto& [requests, records] : committed)
    for (std::size_t i = requests; i < log.size(); ++i) {
      INFO(key_of(log[i]) << " was committed, and asked again");
      CHECK(records.count(key_of(log[i])) == 0);
    }
  // Beside the planned faults, each kill may have cost one answer a service: that of the request under way.
  std::map<std::string, int> good;
  std::map<std::string, int> repeated;
  for (const auto& request : log)
    if (!request.at("fault").get<bool>() && ++good[key_of(request)] > 1) ++repeated[request.at("service")];
  for (const auto& [service, n] : repeated) {
    INFO(service << ": " << n << " repeated");
    CHECK(n <= killed + (faults == "none" ? 0 : 1));  // arXiv's empty feeds are asked for a second time
  }
}

}  // namespace

TEST_CASE("killed at random moments, a crawl ends in the same store") {
  const bool slow = std::getenv("EDDY_SLOW") != nullptr;
  if (slow) {
    kill_and_go_on("none", 150, 3, 20, 16, 11);
    kill_and_go_on("passing", 150, 3, 20, 24, 12);
  } else {
    kill_and_go_on("passing", 40, 2, 4, 20, 13);
  }
}
