// The journal of a build: entries come back as they were; a torn end costs what comes after it, and nothing else.
#include "shard/journal.h"

#include <algorithm>

#include "catch.h"
#include "support.h"

using namespace eddy::shard;
namespace fs = std::filesystem;

namespace {
UnitResult some_unit(std::uint32_t unit, JournalWriter& journal) {
  UnitResult u{.unit = unit};
  const std::vector<std::uint32_t> ids{unit, 2, 3};
  DocumentRecord r;
  r.hash = unit * 100 + 7;
  r.tokens = ids.size();
  r.offset = journal.spill().append(ids);
  r.unit = unit;
  r.spill = journal.number();
  u.records = {r};
  u.key_counts = {2};
  u.keys = {5, ~std::uint64_t{0}};
  u.papers = {{{"title", "caf\u00E9"}}};
  u.rejections = {{{"line", 3}, {"reason", "no text"}}};
  u.tally.count(unit, 3, eddy::extract::Outcome::reject("no text"));
  return u;
}
std::vector<std::uint32_t> units(const fs::path& folder, std::uint32_t number) {
  std::vector<std::uint32_t> out;
  read_journal(folder, number, [&](const JournalPlace&, UnitResult&& u) { out.push_back(u.unit); });
  return out;
}
}  // namespace

TEST_CASE("entries come back, by scanning and by place") {
  eddy_test::TempDir dir;
  {
    JournalWriter journal(dir.path(), 3, 0);
    for (std::uint32_t u : {4u, 9u}) journal.add(some_unit(u, journal));
    journal.close();
  }
  CHECK(count_journals(dir.path()) == 4);
  CHECK(units(dir.path(), 0).empty());
  CHECK(units(dir.path(), 3) == std::vector<std::uint32_t>{4, 9});
  read_journal(dir.path(), 3, [&](const JournalPlace& place, UnitResult&&) {
    const UnitResult u = read_entry(dir.path(), place);
    CHECK(u.unit == place.unit);
    REQUIRE(u.records.size() == 1);
    CHECK(u.records[0].hash == u.unit * 100 + 7);
    CHECK(u.keys == std::vector<std::uint64_t>{5, ~std::uint64_t{0}});
    CHECK(u.papers.at(0).at("title") == "caf\u00E9");
    SpillReader spills(dir.path());
    CHECK(spills.tokens(u.records[0])[0] == u.unit);
  });
}

TEST_CASE("a torn journal keeps its whole entries, wherever it is cut") {
  eddy_test::TempDir dir;
  {
    JournalWriter journal(dir.path(), 0, 0);
    for (std::uint32_t u : {1u, 2u, 3u}) journal.add(some_unit(u, journal));
    journal.close();
  }
  const std::string whole = eddy_test::read_file(journal_path(dir.path(), 0));
  std::vector<std::size_t> ends;
  read_journal(dir.path(), 0, [&](const JournalPlace& p, UnitResult&&) { ends.push_back(p.offset + p.bytes); });
  REQUIRE(ends.size() == 3);
  for (std::size_t cut = 0; cut <= whole.size(); cut += 13) {
    eddy_test::write_file(journal_path(dir.path(), 0), whole.substr(0, cut));
    CHECK(units(dir.path(), 0).size() ==
          static_cast<std::size_t>(std::count_if(ends.begin(), ends.end(), [&](std::size_t e) { return e <= cut; })));
  }
  std::string damaged = whole;
  damaged[ends[0] + 40] ^= 1;
  eddy_test::write_file(journal_path(dir.path(), 0), damaged);
  CHECK(units(dir.path(), 0) == std::vector<std::uint32_t>{1});
  eddy_test::write_file(journal_path(dir.path(), 0), whole);
  fs::resize_file(spill_path(dir.path(), 0),
                  8 * sizeof(std::uint32_t));  // ids of the third that never reached the disk
  CHECK(units(dir.path(), 0) == std::vector<std::uint32_t>{1, 2});
}
