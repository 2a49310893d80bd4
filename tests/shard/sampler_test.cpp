// The sampler: rows that follow from (seed, step, index) alone, targets once an epoch, mixtures, refused data.
#include "shard/sampler.h"

#include <map>
#include <numeric>
#include <set>
#include <thread>

#include "base/rng.h"
#include "catch.h"
#include "errors.h"
#include "io/hdf5.h"
#include "made_tokenizer.h"
#include "shard/writer.h"
#include "support.h"
#include "tokenize/tokenizer.h"

using namespace eddy::shard;
using eddy_test::caught;
using eddy_test::TempDir;
namespace fs = std::filesystem;

namespace {
constexpr std::uint64_t kHash = 42, kVocab = 1000;

/// Documents of consecutive ids (so that any piece tells where it is from), of 2 to `longest` tokens, some with
/// prompts.
void make(const fs::path& dir, std::uint64_t documents, std::uint32_t longest, std::uint64_t key,
          std::uint64_t hash = kHash) {
  DatasetWriter w(dir, hash, kVocab);
  for (std::uint64_t i = 0; i < documents; ++i) {
    const auto r = eddy::philox(key, i);
    std::vector<std::uint32_t> ids(2 + r[0] % (longest - 1));
    std::iota(ids.begin(), ids.end(), r[1] % (kVocab - longest));
    const auto n = static_cast<std::uint32_t>(ids.size());
    w.add(i % 5 == 0 ? Split::validation : Split::train, std::move(ids), r[2] % 3 == 0 ? r[3] % n : 0);
  }
  w.finish(500);
}
SamplerConfig config(std::int64_t seq_len, int global_batch = 4, std::uint64_t seed = 1) {
  return {.seq_len = seq_len, .seed = seed, .global_batch = global_batch, .vocab_size = kVocab};
}
bool same(const PackedRow& a, const PackedRow& b) {
  return a.ids == b.ids && a.doc_lengths == b.doc_lengths && a.loss == b.loss;
}
std::uint64_t targets(const PackedRow& r) {
  return std::accumulate(r.loss.begin(), r.loss.end(), std::uint64_t{0});
}

/// What every row must keep to.
void check_row(const PackedRow& r, std::size_t seq_len) {
  REQUIRE(r.ids.size() == seq_len);
  REQUIRE(r.loss.size() == seq_len);
  std::size_t at = 0;
  for (std::int32_t n : r.doc_lengths) {
    REQUIRE(n >= 2);
    REQUIRE(r.loss[at] == 0);
    for (std::size_t i = at + 1; i < at + static_cast<std::size_t>(n); ++i) {
      REQUIRE(r.ids[i] == r.ids[i - 1] + 1);
      REQUIRE(r.loss[i] >= r.loss[i - 1]);  // a prompt, then targets
    }
    at += static_cast<std::size_t>(n);
    REQUIRE(r.loss[at - 1] == 1);
  }
  REQUIRE(at <= seq_len);
  for (; at < seq_len; ++at) REQUIRE((r.ids[at] == 0 && r.loss[at] == 0));
}
}  // namespace

TEST_CASE("sources are parsed") {
  const auto one = parse_sources("data/set");
  REQUIRE(one.size() == 1);
  CHECK(one[0].dir == "data/set");
  CHECK(one[0].weight == 0);
  const auto two = parse_sources("a:0.7,b:c:3e-1");
  REQUIRE(two.size() == 2);
  CHECK(two[0].weight == 0.7);
  CHECK(two[1].dir == "b:c");
  CHECK(two[1].weight == 0.3);
  CHECK(parse_sources("a,b").size() == 2);
  for (const char* bad : {"", "a,", ":0.5", "a:0", "a:-1", "a:x", "a:0.5x", "a:nan", "a:0.5,b"}) {
    const auto c = caught([&] { parse_sources(bad); });
    CHECK(c.status == 2);
    CHECK(c.says("data source"));
  }
}

TEST_CASE("an epoch shows every target once, and the next one in another order") {
  TempDir dir;
  make(dir / "d", 200, 90, 7);
  const Sampler s({{dir / "d", 0}}, Split::train, config(64));
  std::uint64_t documents_targets = 0;
  std::multiset<std::vector<std::int32_t>> sequential, first, second;
  for (std::uint64_t r = 0; r < s.rows(); ++r) {
    const PackedRow row = s.row_at(r);
    check_row(row, 64);
    documents_targets += targets(row);
    sequential.insert(row.ids);
  }
  CHECK(documents_targets == s.targets_per_epoch());
  std::uint64_t differ = 0;
  for (std::uint64_t g = 0; g < s.rows(); ++g) {
    const PackedRow a = s.row(g / 4, static_cast<int>(g % 4)),
                    b = s.row((g + s.rows()) / 4, static_cast<int>((g + s.rows()) % 4));
    first.insert(a.ids);
    second.insert(b.ids);
    differ += a.ids != b.ids;
  }
  CHECK(first == sequential);
  CHECK(second == sequential);
  CHECK(differ > s.rows() * 9 / 10);
  CHECK(s.epoch(s.rows()) == 4.0);
}

TEST_CASE("a row follows from seed, step and index alone") {
  TempDir dir;
  make(dir / "d", 100, 50, 3);
  const Sampler s({{dir / "d", 0}}, Split::train, config(64, 8)), again({{dir / "d", 0}}, Split::train, config(64, 8));
  const Sampler narrow({{dir / "d", 0}}, Split::train, config(64, 2)),
      other({{dir / "d", 0}}, Split::train, config(64, 8, 2));
  int differ = 0;
  PackedRow reused;
  for (std::uint64_t g = 0; g < 64; ++g) {
    const PackedRow row = s.row(g / 8, static_cast<int>(g % 8));
    CHECK(same(row, again.row(g / 8, static_cast<int>(g % 8))));
    CHECK(same(row, narrow.row(g / 2, static_cast<int>(g % 2))));  // the batch size only groups the rows
    s.row(g / 8, static_cast<int>(g % 8), reused);
    CHECK(same(row, reused));
    differ += !same(row, other.row(g / 8, static_cast<int>(g % 8)));
  }
  CHECK(differ > 48);
  CHECK_THROWS_AS(s.row(0, 8), eddy::Error);
  CHECK_THROWS_AS(s.row_at(s.rows()), eddy::Error);
}

TEST_CASE("threads see the same rows") {
  TempDir dir;
  make(dir / "d", 100, 50, 3);
  const Sampler s({{dir / "d", 0}}, Split::train, config(64, 1));
  std::vector<PackedRow> expected;
  for (std::uint64_t g = 0; g < 200; ++g) expected.push_back(s.row(g, 0));
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (std::uint64_t g = 0; g < 200; ++g) wrong[t] += !same(s.row(g, 0), expected[g]);
    });
  for (auto& t : threads) t.join();
  CHECK(wrong == std::vector<int>(4, 0));
}

TEST_CASE("validation is sequential, whatever the seed") {
  TempDir dir;
  make(dir / "d", 200, 90, 7);
  const Sampler a({{dir / "d", 0}}, Split::validation, config(64, 4, 1)),
      b({{dir / "d", 0}}, Split::validation, config(64, 4, 2));
  REQUIRE(a.rows() == b.rows());
  for (std::uint64_t r = 0; r < a.rows(); ++r) {
    check_row(a.row_at(r), 64);
    CHECK(same(a.row_at(r), b.row_at(r)));
    CHECK(same(a.row_at(r), a.row(r / 4, static_cast<int>(r % 4))));
  }
}

TEST_CASE("sources mix by weight, and without weights are one") {
  TempDir dir;
  DatasetWriter x(dir / "x", kHash, kVocab), y(dir / "y", kHash, kVocab);
  for (std::uint32_t i = 0; i < 30; ++i) {
    x.add(Split::train, {1, 2, 3, 4});
    y.add(Split::train, {5, 6, 7, 8});
  }
  x.finish();
  y.finish();
  const Sampler weighted({{dir / "x", 3}, {dir / "y", 1}}, Split::train, config(4, 4));
  for (std::uint64_t step = 0; step < 50; ++step) {
    int from_x = 0;
    for (int i = 0; i < 4; ++i) from_x += weighted.row(step, i).ids[0] == 1;
    CHECK(from_x == 3);
  }
  const Sampler together({{dir / "x", 0}, {dir / "y", 0}}, Split::train, config(4, 4));
  CHECK(together.rows() == 60);
  int from_x = 0;
  for (std::uint64_t g = 0; g < 60; ++g) from_x += together.row(g / 4, static_cast<int>(g % 4)).ids[0] == 1;
  CHECK(from_x == 30);
  CHECK(together.tokens_per_epoch() == 240);
  CHECK(together.targets_per_epoch() == 180);
}

TEST_CASE("data that cannot be trained on is refused") {
  TempDir dir;
  make(dir / "d", 50, 50, 3);
  make(dir / "other", 50, 50, 3, 43);
  const std::string d = (dir / "d").string();
  const auto small = caught([&] { Sampler({{d, 0}}, Split::train, {.seq_len = 8, .vocab_size = 100}); });
  CHECK(small.status == 2);
  CHECK(small.says("dataset 'tokens' holds token id"));
  CHECK(small.says("the model's vocabulary has 100 entries"));
  CHECK(caught([&] { Sampler({{d, 0}}, Split::test, config(8)); }).says("no documents in its test split"));
  CHECK(caught([&] {
          Sampler({{d, 1}, {dir / "other", 1}}, Split::train, config(8));
        }).says("made with the tokenizer"));
  CHECK(caught([&] { Sampler({{d, 1}, {d, 0}}, Split::train, config(8)); }).says("weight"));
  CHECK(caught([&] { Sampler({{d, 0}}, Split::train, config(1)); }).says("seq_len"));
  DatasetWriter prompts(dir / "p", kHash, kVocab);
  prompts.add(Split::train, {1, 2, 3}, 3);
  prompts.finish();
  CHECK(caught([&] { Sampler({{dir / "p", 0}}, Split::train, config(8)); }).says("no token to train on"));
}

TEST_CASE("a flipped bit in the tokens is found at construction, or at the row when that was turned off") {
  TempDir dir;
  make(dir / "d", 50, 50, 3);
  const fs::path shard = dir / "d" / "train-00001.h5";
  std::uint64_t at = 0;
  {
    const eddy::io::H5File file = eddy::io::H5File::open(shard);
    at = file.root().dataset("tokens").file_offset().value() + 3;  // the highest byte of the first id
  }
  std::string bytes = eddy_test::read_file(shard);
  bytes[at] = 0x40;
  eddy_test::write_file(shard, bytes);
  const auto found = caught([&] { Sampler({{dir / "d", 0}}, Split::train, config(32)); });
  CHECK(found.status == 2);
  CHECK(found.says("train-00001.h5: dataset 'tokens': damaged: its checksum is"));
  SamplerConfig trusting = config(32);
  trusting.verify = false;
  const Sampler s({{dir / "d", 0}}, Split::train, trusting);
  const auto met = caught([&] {
    for (std::uint64_t r = 0; r < s.rows(); ++r) s.row_at(r);
  });
  CHECK(met.status == 2);
  CHECK(met.says("train-00001.h5: dataset 'tokens', document 0: token id"));
  // ranks share the reading: the second shard is rank 1's
  SamplerConfig shared = config(32);
  shared.verify_ranks = 2;
  CHECK_NOTHROW(Sampler({{dir / "d", 0}}, Split::train, shared));
  shared.verify_rank = 1;
  CHECK_THROWS_AS(Sampler({{dir / "d", 0}}, Split::train, shared), eddy::Error);
}

TEST_CASE("a tokenizer.json beside the shards is the one they were made with, or is found not to be") {
  TempDir dir;
  const std::string made = eddy_test::tokenizer_json(), other = eddy_test::tokenizer_json(270);
  const std::uint64_t size = eddy::tokenize::Tokenizer::from_json(made, "made").vocab_size();
  const auto write = [&](const fs::path& at, std::uint64_t vocab_size) {
    DatasetWriter w(at, eddy::xxh3(made), vocab_size);
    w.add(Split::train, {1, 2, 3, 4});
    w.finish();
  };
  write(dir / "d", size);
  const auto open = [&](const SamplerConfig& c) { return caught([&] { Sampler({{dir / "d", 0}}, Split::train, c); }); };
  SamplerConfig c = config(8);
  CHECK(open(c).status == 0);  // none: shards made by other means
  eddy_test::write_file(dir / "d/tokenizer.json", made);
  CHECK(open(c).status == 0);
  std::string damaged = made;
  damaged[damaged.size() / 2] ^= 1;
  for (const std::string& wrong : {damaged, other, std::string()}) {
    eddy_test::write_file(dir / "d/tokenizer.json", wrong);
    const auto found = open(c);
    CHECK(found.status == 2);
    CHECK(found.says((dir / "d/tokenizer.json").string()));
    CHECK(found.says("was made with the tokenizer " + eddy::hex64(eddy::xxh3(made))));
  }
  c.verify = false;
  CHECK(open(c).status == 0);
  c.verify = true;
  c.verify_ranks = 2;
  c.verify_rank = 1;
  CHECK(open(c).status == 0);  // rank 0's to read

  write(dir / "d", size - 1);  // the shards' size of the vocabulary is not that tokenizer's
  eddy_test::write_file(dir / "d/tokenizer.json", made);
  CHECK(open(config(8)).says(fmt::format("has {} tokens where", size)));
}
