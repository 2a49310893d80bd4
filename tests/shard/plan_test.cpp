// Pure functions of a build: inputs and units, ranks' work, splits, shards, counts.
#include "shard/plan.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/rng.h"
#include "catch.h"
#include "errors.h"
#include "shard/inputs.h"
#include "shard/tally.h"
#include "support.h"

using namespace eddy::shard;
using eddy::extract::Kind;
using eddy::extract::Outcome;
using eddy_test::caught;
using eddy_test::TempDir;
using eddy_test::write_file;
namespace fs = std::filesystem;

namespace {
std::vector<std::string> names(const InputList& list) {
  std::vector<std::string> out;
  for (const InputFile& f : list.files) out.push_back(f.name);
  return out;
}
std::vector<DocumentRecord> some_records(std::size_t n) {
  std::vector<DocumentRecord> records;
  for (std::uint32_t i = 0; i < n; ++i) {
    const auto w = eddy::philox(3, i);
    DocumentRecord r;
    r.hash = eddy::mix(1, i);
    r.tokens = 1 + w[0] % 50;
    r.unit = i / 10;
    r.number = i % 10;
    r.spill = w[1] % 4;
    records.push_back(r);
  }
  return records;
}
std::vector<DocumentRecord> in_order(const std::vector<DocumentRecord>& records, const Plan& plan) {
  std::vector<DocumentRecord> out;
  for (const std::uint32_t i : plan.order) out.push_back(records[i]);
  return out;
}
}  // namespace

TEST_CASE("inputs are listed in order, by kind, each once") {
  TempDir dir;
  fs::create_directories(dir / "in" / "sub");
  fs::create_directories(dir / "in" / ".git");
  for (const char* name :
       {"b.tex", "a.md", "sub/c.txt", "d.txt.gz", "Makefile", ".hidden.md", ".git/x.md", "e.pdf", "b.pdf"})
    write_file(dir / "in" / name, "x");
  const std::string in = (dir / "in").string();
  const InputList list = list_inputs({in + "/"});
  CHECK(names(list) == std::vector<std::string>{"in/a.md", "in/b.pdf", "in/b.tex", "in/e.pdf", "in/sub/c.txt"});
  CHECK(list.skipped == std::map<std::string, std::uint64_t>{{"", 1}, {".gz", 1}});
  CHECK(list.files[1].part);        // b.pdf was made from b.tex
  CHECK_FALSE(list.files[3].part);  // e.pdf has no source
  CHECK(names(list_inputs({in, in + "/a.md", in + "/sub"})).size() == 5);
  CHECK(names(list_inputs({in + "/sub/c.txt"})) == std::vector<std::string>{"c.txt"});
  const auto missing = caught([&] { list_inputs({in, in + "/nowhere"}); });
  CHECK(missing.status == 2);
  CHECK(missing.says("nowhere"));
  CHECK(caught([&] { list_inputs({in + "/d.txt.gz"}); }).says("d.txt.gz: not of a known kind"));
}

TEST_CASE("units: files whole, jsonl in slices, parts left out") {
  const std::vector<InputFile> files{{"a", "a", "", Kind::plain, 100, false},
                                     {"b", "b", "", Kind::jsonl, 25, false},
                                     {"c", "c", "", Kind::latex, 9, true},
                                     {"d", "d", "", Kind::jsonl, 0, false}};
  const auto units = make_units(files, 10);
  REQUIRE(units.size() == 5);
  CHECK((units[0].file == 0 && units[0].begin == 0 && units[0].end == 100));
  CHECK((units[3].file == 1 && units[3].begin == 20 && units[3].end == 25));
  CHECK((units[4].file == 3 && units[4].end == 0));
}

TEST_CASE("units go in batches, the costliest first") {
  const std::vector<InputFile> files{{"a", "a", "", Kind::plain, 100000, false},
                                     {"b", "b", "", Kind::plain, 10, false},
                                     {"c", "c", "", Kind::plain, 20, false},
                                     {"d", "d", "", Kind::plain, 30, false}};
  const auto units = make_units(files, 10);
  const auto batches = make_batches({0, 1, 2, 3}, units, files, 10000);
  REQUIRE(batches.size() == 2);
  CHECK(batches[0].units == std::vector<std::uint32_t>{0});
  CHECK(batches[0].cost == 104096);
  CHECK(batches[1].units == std::vector<std::uint32_t>{1, 2, 3});
  CHECK(make_batches({3, 1}, units, files, 1).size() == 2);
  CHECK(make_batches({}, units, files, 1).empty());
}

TEST_CASE("splits follow the content and the seed, in the shares asked for") {
  std::map<Split, int> count;
  int moved = 0;
  for (std::uint64_t h = 0; h < 20000; ++h) {
    const Split s = split_of(h * 977, {.validation = 0.1, .test = 0.05});
    ++count[s];
    moved += s != split_of(h * 977, {.validation = 0.1, .test = 0.05, .seed = 1});
  }
  CHECK(count[Split::validation] == approx(2000).margin(150));
  CHECK(count[Split::test] == approx(1000).margin(110));
  CHECK(moved > 3000);
  CHECK(split_of(5, {.validation = 1}) == Split::validation);
  CHECK(split_of(5, {.validation = 0}) == Split::train);
  CHECK(caught([] { split_of(5, {.validation = 0.8, .test = 0.3}); }).says("split.validation"));
}

TEST_CASE("a plan does not depend on the records' order and keeps the budget") {
  std::vector<DocumentRecord> a = some_records(500), b = a;
  std::reverse(b.begin(), b.end());
  const SplitFractions f{.validation = 0.1, .test = 0.1};
  const Plan planned = plan_shards(a, f, 200), other = plan_shards(b, f, 200);
  const auto &plan = planned.shards, &again = other.shards;
  REQUIRE(plan.size() == again.size());
  REQUIRE(planned.order.size() == 500);
  a = in_order(a, planned);
  b = in_order(b, other);
  std::uint64_t at = 0;
  for (std::size_t s = 0; s < plan.size(); ++s) {
    CHECK(plan[s].begin == at);
    at = plan[s].end;
    CHECK(plan[s].index == again[s].index);
    std::uint64_t tokens = 0;
    for (std::uint64_t i = plan[s].begin; i < plan[s].end; ++i) {
      CHECK(a[i].hash == b[i].hash);
      CHECK(split_of(a[i].hash, f) == plan[s].split);
      CHECK((i == plan[s].begin || a[i - 1].unit * 10 + a[i - 1].number < a[i].unit * 10 + a[i].number));
      tokens += a[i].tokens;
    }
    CHECK(tokens <= 200);
    CHECK(tokens > 0);
  }
  CHECK(at == 500);
  auto longer = some_records(3);
  CHECK(plan_shards(longer, {.validation = 0}, 1).shards.size() == 3);
}

TEST_CASE("a split that was asked for is not left empty, and copies stay together") {
  std::vector<DocumentRecord> records = some_records(4);
  records.push_back(records[0]);
  records.back().number = 9;
  const Plan planned = plan_shards(records, {.validation = 1e-9, .test = 1e-9}, 1000);
  const auto& plan = planned.shards;
  REQUIRE(plan.size() == 3);
  records = in_order(records, planned);
  std::map<std::uint64_t, std::set<Split>> splits;
  for (const PlannedShard& s : plan)
    for (std::uint64_t i = s.begin; i < s.end; ++i) splits[records[i].hash].insert(s.split);
  CHECK(splits.size() == 4);
  for (const auto& [hash, in] : splits) CHECK(in.size() == 1);
  auto one = some_records(1);  // nothing to spare
  CHECK(plan_shards(one, {.validation = 0.02}, 1000).shards.at(0).split == Split::train);
  auto all = some_records(3);
  CHECK(plan_shards(all, {.validation = 1}, 1000).shards.size() == 1);
}

TEST_CASE("counts of ranks add up, with the places of rejected lines") {
  const std::vector<InputFile> files{{"p", "x.jsonl", "", Kind::jsonl, 30, false},
                                     {"q", "y.md", "", Kind::plain, 5, false}};
  const auto units = make_units(files, 10);  // three slices and a file
  Tally a, b;
  a.count_lines(0, 4);
  a.count(2, 1, Outcome::reject("bad", "why"));
  a.count(3, 0, Outcome::reject("no text"));
  b.count_lines(1, 3);
  b.count(1, 2, Outcome::reject("bad"));
  b.count(1, 3, Outcome{.text = "fine", .invalid_utf8 = 2});
  Tally ab, ba;
  ab.add(a);
  ab.add(Tally::from_json(b.to_json()));
  ba.add(b);
  ba.add(a);
  const auto report = ab.report(files, units);
  CHECK(report == ba.report(files, units));
  CHECK(report.at("documents") == 1);
  CHECK(report.at("rejected").at("bad") == 2);
  CHECK(report.at("invalid_utf8_replaced") == 2);
  const auto& first = report.at("first_rejected");
  REQUIRE(first.size() == 3);
  CHECK(first[0].at("where") == "x.jsonl:6");
  CHECK(first[1].at("where") == "x.jsonl:8");
  CHECK(first[1].at("detail") == "why");
  CHECK(first[2].at("where") == "y.md");
}
