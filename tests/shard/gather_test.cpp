// What ranks tell each other: records in pieces, and failures that leave no rank waiting.
#include "shard/gather.h"

#include "catch.h"
#include "comm/session.h"
#include "errors.h"

using namespace eddy::shard;
using eddy_test::caught;

namespace {
eddy::comm::Communicator& world() {
  static auto* s = new eddy::comm::Session;  // MPI is the test's main's to finalize, after all statics
  return s->world();
}
constexpr std::uint32_t kMine = 40000;  // more than two pieces

/// Emits records 0 .. kMine-1 of this rank; throws before one of them.
void emit_mine(const std::function<void(const DocumentRecord&)>& emit, std::uint32_t fails_at = kNone) {
  for (std::uint32_t i = 0; i < kMine; ++i) {
    if (i == fails_at) eddy::fail_run("rank {} cannot go on", world().rank());
    DocumentRecord r;
    r.unit = static_cast<std::uint32_t>(world().rank());
    r.number = i;
    emit(r);
  }
}
}  // namespace

TEST_CASE("every rank's records come to rank 0, each once") {
  const std::uint64_t total = std::uint64_t{kMine} * static_cast<std::uint64_t>(world().size());
  const auto all = collect(world(), total, [](const auto& emit) { emit_mine(emit); });
  if (world().rank() != 0) {
    CHECK(all.empty());
    return;
  }
  REQUIRE(all.size() == total);
  CHECK(all.capacity() == total);  // room was made for all at once
  std::vector<std::uint32_t> seen(static_cast<std::size_t>(world().size()), 0);
  for (const DocumentRecord& r : all) REQUIRE(r.number == seen.at(r.unit)++);
}

TEST_CASE("where one rank's records cannot be read all throw, whichever it is") {
  for (int failing = 0; failing < world().size(); ++failing)
    for (const std::uint32_t at : {0u, 20000u, kMine - 1}) {
      const auto c = caught([&] {
        together(world(), [&] {
          collect(world(), kMine, [&](const auto& emit) { emit_mine(emit, world().rank() == failing ? at : kNone); });
        });
      });
      CHECK(c.status == 1);
      CHECK(c.says("rank " + std::to_string(failing) + " cannot go on"));
    }
}
