// Tasks dealt out: each once, whoever asks, and fewer to a rank that is slow.
#include "comm/work_queue.h"

#include <chrono>
#include <thread>
#include <vector>

#include "catch.h"
#include "comm/self_communicator.h"
#include "comm/session.h"

using eddy::Dtype;
using eddy::comm::WorkQueue;

namespace {
eddy::comm::Communicator& world() {
  static auto* s = new eddy::comm::Session;  // MPI is the test's main's to finalize, after all statics
  return s->world();
}
}  // namespace

TEST_CASE("every task goes to one rank") {
  std::vector<std::int64_t> taken(1000, 0);
  {
    WorkQueue queue(world(), taken.size());
    std::uint64_t last = 0;
    while (const auto task = queue.next()) {
      REQUIRE(*task < taken.size());
      CHECK((*task >= last));
      last = *task;
      ++taken[*task];
    }
    CHECK_FALSE(queue.next());
    CHECK(queue.dealt() == taken.size());
  }
  world().all_reduce(taken.data(), taken.size(), Dtype::i64, eddy::comm::Reduce::sum);
  CHECK(taken == std::vector<std::int64_t>(1000, 1));
}

TEST_CASE("a slow rank does less") {
  std::int64_t mine = 0;
  {
    WorkQueue queue(world(), 60);
    while (queue.next()) {
      ++mine;
      std::this_thread::sleep_for(std::chrono::milliseconds(world().rank() == 0 ? 40 : 2));
    }
  }
  std::int64_t all = mine;
  world().all_reduce(&all, 1, Dtype::i64, eddy::comm::Reduce::sum);
  CHECK(all == 60);
  if (world().rank() == 0 && world().size() > 1) CHECK(mine < 30);
}

TEST_CASE("no work, and work that is stopped or left half done") {
  {
    WorkQueue none(world(), 0);
    CHECK_FALSE(none.next());
  }
  {
    WorkQueue left(world(), 1000000);
    CHECK(left.next());
  }
  WorkQueue stopped(world(), std::uint64_t{1} << 40);
  if (world().rank() == world().size() - 1) stopped.stop();
  while (stopped.next()) {
  }
  CHECK_FALSE(stopped.next());
}
