// How MPI jobs end: exit status and message seen by whoever started mpiexec.
#include <chrono>
#include <string>

#include "catch.h"
#include "support.h"

namespace {

struct Ended : eddy_test::RunResult {
  double seconds;
};

Ended job(const std::string& way, int ranks, int timeout_s = 30) {
  const auto start = std::chrono::steady_clock::now();
  auto result = eddy_test::run({EDDY_ENDING_PROGRAM, way}, ranks, timeout_s);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  INFO(way << " on " << ranks << " ranks: status " << result.status << " after " << took.count() << " s\n"
           << result.err);
  CHECK(result.status != 124);
  return {std::move(result), took.count()};
}

int times(const std::string& text, const std::string& part) {
  int n = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}
bool has(const std::string& text, const std::string& part) {
  return times(text, part) > 0;
}

}  // namespace

TEST_CASE("success is 0, a stop is 75, with any number of ranks and without mpiexec") {
  for (const int ranks : {0, 1, 4}) CHECK(job("done", ranks).status == 0);
  for (const int ranks : {0, 2}) CHECK(job("stopped", ranks).status == 75);
}

TEST_CASE("ranks that are done wait for a slow one") {
  const Ended e = job("done-late", 2);
  CHECK(e.status == 0);
  CHECK(e.seconds > 3);
}

TEST_CASE("a trouble that all ranks have is said once") {
  for (const int ranks : {0, 1, 2, 4}) {
    const Ended e = job("all-unusable", ranks);
    CHECK(e.status == 2);
    CHECK(times(e.err, "ending: option x.y is impossible") == 1);
    CHECK_FALSE(has(e.err, "MPI_ABORT"));
  }
}

TEST_CASE("a status that all ranks return without a message loses no output") {
  const Ended e = job("all-return-1", 4);
  CHECK(e.status == 1);
  for (const char* rank : {"0", "1", "2", "3"}) CHECK(has(e.out, std::string("result of rank ") + rank));
}

TEST_CASE("one rank that throws ends the job with its status and message") {
  const Ended broken = job("one-throws", 2);
  CHECK(broken.status == 1);
  CHECK(times(broken.err, "ending: something broke on one rank (rank 1 on host ") == 1);
  CHECK(broken.seconds < 10);
  const Ended torn = job("one-unusable", 4);
  CHECK(torn.status == 2);
  CHECK(times(torn.err, "ending: shard-7 of this rank is torn (rank 3 on host ") == 1);
  CHECK(torn.seconds < 10);
}

TEST_CASE("ranks that end differently: the first failing one speaks") {
  const Ended e = job("statuses-differ", 4);
  CHECK(e.status == 2);
  CHECK(times(e.err, "ending: rank 1 differs (rank 1 on host ") == 1);
  CHECK_FALSE(has(e.err, "rank 2 differs"));
  CHECK(e.seconds < 10);
}

TEST_CASE("a rank that hangs ends the job: operation, group, rank, host are named") {
  const Ended e = job("hang", 2);
  CHECK(e.status == 1);
  CHECK(times(e.err, "has not returned for") == 1);
  CHECK(
      has(e.err, "all_reduce on tp{0,1} has not returned for 2.0s: rank 0 of 2 in that group, world rank 0 on host "));
  CHECK(has(e.err, "comm.timeout_s"));
  CHECK(e.seconds < 10);
}

TEST_CASE("many ranks time out at once: one message") {
  const Ended e = job("two-hang", 4);
  CHECK(e.status == 1);
  CHECK(times(e.err, "has not returned for") == 1);
  CHECK(has(e.err, "barrier on world"));
  CHECK(e.seconds < 15);
}

TEST_CASE("a rank 0 that is frozen ends the job: the first of the others speaks") {
  const Ended e = job("frozen", 4);
  CHECK(e.status != 0);
  CHECK(times(e.err, "has not returned for") == 1);
  CHECK(has(e.err, "barrier on world has not returned for "));
  CHECK(has(e.err, "world rank 1 on host "));
  CHECK(e.seconds < 15);
}

TEST_CASE("a rank that is killed ends the job") {
  const Ended e = job("killed", 4);
  CHECK(e.status != 0);
  CHECK(e.seconds < 10);
}
