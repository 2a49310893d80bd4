// Copies found by all ranks: the same groups whatever the number of ranks, the keys' order and the memory; which stays.
#include "shard/duplicates.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/rng.h"
#include "catch.h"
#include "comm/session.h"

using namespace eddy::shard;

namespace {
eddy::comm::Communicator& world() {
  static auto* s = new eddy::comm::Session;  // MPI is the test's main's to finalize, after all statics
  return s->world();
}

/// Keys of 3,000 documents: a key of their own, and some that few or many share.
std::vector<KeyedDocument> some_keys() {
  std::vector<KeyedDocument> keys;
  for (std::uint64_t d = 0; d < 3000; ++d) {
    const auto w = eddy::philox(8, d);
    keys.push_back({eddy::mix(1, d), d});
    keys.push_back({eddy::mix(2, w[0] % 2500), d});
    if (d % 7 == 0) keys.push_back({eddy::mix(3, w[1] % 40), d});
    if (d % 7 == 0) keys.push_back(keys.back());  // the same twice
  }
  return keys;
}
std::vector<std::uint64_t> groups(Components& c, std::uint64_t n) {
  std::vector<std::uint64_t> out;
  for (std::uint64_t i = 0; i < n; ++i) out.push_back(c.of(i));
  return out;
}
DocumentRecord record(std::uint32_t unit, std::uint32_t number, std::uint64_t hash, std::uint64_t tokens,
                      Origin origin = Origin::text) {
  DocumentRecord r;
  r.hash = hash;
  r.tokens = tokens;
  r.unit = unit;
  r.number = number;
  r.origin = origin;
  return r;
}
}  // namespace

TEST_CASE("groups are those of one rank with all keys in memory") {
  const auto keys = some_keys();
  std::map<std::uint64_t, std::uint64_t> first;  // by hand: join each document with its key's first
  Components expected(3000);
  for (const KeyedDocument& k : keys) expected.join(k.document, first.try_emplace(k.key, k.document).first->second);
  const auto truth = groups(expected, 3000);
  CHECK(std::set(truth.begin(), truth.end()).size() < 2900);

  for (const std::uint64_t at_once : {100000u, 700u, 50u})
    for (const bool reversed : {false, true}) {
      Components found(3000);
      std::uint64_t edges = 0;
      const auto each = [&](const std::function<void(KeyedDocument)>& emit) {
        for (std::size_t i = 0; i < keys.size(); ++i) {
          const std::size_t at = reversed ? keys.size() - 1 - i : i;
          if (at % static_cast<std::size_t>(world().size()) == static_cast<std::size_t>(world().rank())) emit(keys[at]);
        }
      };
      find_copies(world(), keys.size(), at_once, each, [&](CopyEdge e) {
        CHECK(world().rank() == 0);
        CHECK(e.first < e.second);
        ++edges;
        found.join(e.first, e.second);
      });
      if (world().rank() == 0) {
        CHECK(groups(found, 3000) == truth);
        CHECK(edges > 100);
      } else {
        CHECK(edges == 0);
      }
    }
}

TEST_CASE("of copies LaTeX stays before text before PDF, then the longer one; pairs go with their text") {
  std::vector<DocumentRecord> r{record(0, 0, 10, 900, Origin::pdf),
                                record(0, 1, 11, 500, Origin::latex),
                                record(0, 2, 12, 600, Origin::latex),
                                record(1, 0, 13, 50),
                                record(1, 1, 13, 50),
                                record(2, 0, 14, 1)};
  r[1].split_key = 70;
  r[2].split_key = 80;
  DocumentRecord pair = record(0, 3, 20, 5);  // made from the PDF
  pair.owner = 0;
  r.insert(r.begin() + 3, pair);
  DocumentRecord other = record(2, 1, 20, 5);  // the same words made from the last text
  other.owner = 0;
  r.push_back(other);
  Components c(r.size());
  c.join(0, 1);
  c.join(1, 2);
  c.join(4, 5);
  c.join(3, 7);
  auto off = r;
  const auto kept = mark_copies(r, c, false);
  CHECK(kept[0] == 2);
  CHECK(kept[1] == 2);
  CHECK(kept[2] == 2);
  CHECK(kept[3] == 2);  // with its text
  CHECK(kept[5] == 4);
  CHECK(kept[7] == 7);  // the copy left with its text, so this one stays
  CHECK(r[0].dropped == Dropped::near_duplicate);
  CHECK(r[5].dropped == Dropped::exact_duplicate);
  CHECK(r[6].dropped == Dropped::no);
  for (int i = 0; i < 4; ++i) CHECK(r[static_cast<std::size_t>(i)].key() == 10);  // the least of the group
  CHECK(r[7].key() == 14);                                                        // its text's

  mark_copies(off, c, true);
  CHECK(std::count_if(off.begin(), off.end(), [](const auto& d) { return d.dropped != Dropped::no; }) == 1);
  CHECK(off[0].key() == off[2].key());  // copies that stay share a split
}

TEST_CASE("which stays does not depend on the order of the input") {
  std::vector<DocumentRecord> r;
  for (std::uint32_t i = 0; i < 50; ++i) r.push_back(record(i, 0, eddy::mix(4, i), 100 + i % 3));
  const auto survivor = [](std::vector<DocumentRecord> records) {
    for (std::uint32_t i = 0; i < records.size(); ++i) records[i].unit = i;
    Components c(records.size());
    for (std::size_t i = 1; i < records.size(); ++i) c.join(i - 1, i);
    mark_copies(records, c, false);
    std::vector<std::uint64_t> left;
    for (const auto& d : records)
      if (d.dropped == Dropped::no) left.push_back(d.hash);
    return left;
  };
  const auto one = survivor(r);
  CHECK(one.size() == 1);
  std::reverse(r.begin(), r.end());
  CHECK(survivor(r) == one);
}
