#include "comm/watchdog.h"

#include <sys/resource.h>

#include <atomic>
#include <future>

#include "catch.h"

using namespace std::chrono_literals;
using eddy::comm::Operation;
using eddy::comm::Watchdog;

namespace {
struct Report {
  std::string name, group;
  int rank, size;
  double seconds;
};
struct Watched {
  std::promise<Report> promise;
  std::future<Report> future = promise.get_future();
  Watchdog dog{[this](const Operation& o, double s) { promise.set_value({o.name, *o.group, o.rank, o.size, s}); }};
  bool expired(std::chrono::milliseconds within) { return future.wait_for(within) == std::future_status::ready; }
};
const std::string kGroup = "tp{0,1}";
}  // namespace

TEST_CASE("an operation that outlasts the time-out is reported, with what it is") {
  Watched w;
  w.dog.set_timeout(0.1);
  const Watchdog::Guard guard(&w.dog, "all_gather", kGroup, 1, 2);
  REQUIRE(w.expired(5s));
  const Report r = w.future.get();
  CHECK(r.name == "all_gather");
  CHECK(r.group == kGroup);
  CHECK(r.rank == 1);
  CHECK(r.size == 2);
  CHECK(r.seconds >= 0.1);
}

TEST_CASE("operations that return in time are not reported, however many there are") {
  Watched w;
  w.dog.set_timeout(0.2);
  const auto end = std::chrono::steady_clock::now() + 500ms;
  while (std::chrono::steady_clock::now() < end) {
    const Watchdog::Guard outer(&w.dog, "split", kGroup, 0, 2), inner(&w.dog, "barrier", kGroup, 0, 2);
    std::this_thread::sleep_for(1ms);
  }
  CHECK_FALSE(w.expired(0ms));
}

TEST_CASE("the late one among several threads' operations is found") {
  Watched w;
  w.dog.set_timeout(0.2);
  std::atomic<bool> stop = false;
  std::thread busy([&] {
    while (!stop) {
      const Watchdog::Guard guard(&w.dog, "isend", kGroup, 0, 2);
      std::this_thread::sleep_for(1ms);
    }
  });
  {
    const Watchdog::Guard guard(&w.dog, "recv", kGroup, 0, 2);
    CHECK(w.expired(5s));
  }
  stop = true;
  busy.join();
  CHECK(w.future.get().name == "recv");
}

TEST_CASE("without a time-out nothing is reported; one that is set later holds for what is under way") {
  Watched w;
  const Watchdog::Guard guard(&w.dog, "barrier", kGroup, 0, 2);
  CHECK_FALSE(w.expired(50ms));
  w.dog.set_timeout(1000);
  w.dog.set_timeout(0);
  CHECK_FALSE(w.expired(50ms));
  w.dog.set_timeout(0.01);
  CHECK(w.expired(5s));
}

TEST_CASE("watching costs no processor time") {
  const auto cpu_seconds = [] {
    rusage use{};
    getrusage(RUSAGE_SELF, &use);
    return static_cast<double>(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           1e-6 * static_cast<double>(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
  };
  Watched w;
  w.dog.set_timeout(60);
  const Watchdog::Guard guard(&w.dog, "recv", kGroup, 0, 2);
  const double before = cpu_seconds();
  std::this_thread::sleep_for(300ms);
  CHECK(cpu_seconds() - before < 0.05);
}
