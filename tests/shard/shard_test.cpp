// Shard files: written and mapped; damage of every kind is found and named.
#include "shard/shard.h"

#include <sys/resource.h>

#include <csignal>
#include <numeric>

#include "base/hash.h"
#include "catch.h"
#include "errors.h"
#include "io/hdf5.h"
#include "shard/corpus.h"
#include "shard/writer.h"
#include "support.h"

using namespace eddy::shard;
using eddy_test::caught;
using eddy_test::Caught;
using eddy_test::read_file;
using eddy_test::TempDir;
using eddy_test::write_file;
namespace fs = std::filesystem;

#ifdef __SANITIZE_ADDRESS__
// HDF5 1.10 loses memory of its own where opening a damaged file or closing one on a full disk fails; other tests of
// HDF5 run without this.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libhdf5\n";
}
#endif

namespace {
using Tokens = std::vector<std::uint32_t>;
const std::vector<Tokens> kDocuments{{5, 6, 7, 1}, {9, 1}, {3, 3, 3, 3, 3, 1}};

ShardEntry sample(const fs::path& path) {
  return write_shard(path, {Split::validation, 2, 0xABCDEF, 10}, {{4, 2, 1, 111}, {2, 0, 0, 222}, {6, 6, 1, 333}},
                     {"a/b.tex", "c.md"}, [](std::size_t i) { return std::span(kDocuments[i]); });
}
Caught opening(const fs::path& path) {
  return caught([&] { Shard(path).verify(); });
}
/// Overwrites elements of a dataset; its checksum too when `signed_again`.
template <class T>
void edit(const fs::path& path, const char* name, std::uint64_t at, T value) {
  eddy::io::H5File file = eddy::io::H5File::open(path, {}, true);
  {
    eddy::io::H5Dataset d = file.root().dataset(name);
    d.write({{at}, {1}}, &value, eddy::io::h5_type_of<T>());
    const auto all = d.read_all<T>();
    d.write_attribute("xxh3", eddy::xxh3(all.data(), all.size() * sizeof(T)));
  }
  file.close();
}
void edit_header(const fs::path& path, const char* name, std::uint64_t value) {
  eddy::io::H5File file = eddy::io::H5File::open(path, {}, true);
  file.root().write_attribute(name, value);
  file.close();
}
}  // namespace

TEST_CASE("a shard is read as it was written") {
  TempDir dir;
  const fs::path path = dir / "validation-00002.h5";
  const ShardEntry entry = sample(path);
  CHECK(entry.file == "validation-00002.h5");
  CHECK(entry.counts.documents == 3);
  CHECK(entry.counts.tokens == 12);
  CHECK(entry.counts.targets == 4);
  CHECK(entry.bytes == fs::file_size(path));
  const Shard s(path);
  s.verify();
  CHECK(s.split() == Split::validation);
  CHECK(s.documents() == 3);
  CHECK(s.tokens() == 12);
  CHECK(s.tokenizer_hash() == 0xABCDEF);
  CHECK(s.vocab_size() == 10);
  CHECK(s.max_token() == 9);
  for (std::size_t i = 0; i < 3; ++i)
    CHECK(Tokens(s.document(i).tokens.begin(), s.document(i).tokens.end()) == kDocuments[i]);
  CHECK(s.document(0).prompt == 2);
  CHECK(s.document(1).hash == 222);
  CHECK(s.source_name(s.document(0).source) == "c.md");
  CHECK(s.source_name(s.document(1).source) == "a/b.tex");
}

TEST_CASE("the same documents give the same bytes") {
  TempDir dir;
  CHECK(sample(dir / "a.h5").xxh3 == sample(dir / "b.h5").xxh3);
  CHECK(read_file(dir / "a.h5") == read_file(dir / "b.h5"));
}

TEST_CASE("every truncation and every flipped bit of the data is found") {
  TempDir dir;
  sample(dir / "good.h5");
  const std::string good = read_file(dir / "good.h5");
  const fs::path bad = dir / "bad.h5";
  for (std::size_t keep : {std::size_t{0}, std::size_t{40}, good.size() / 2, good.size() - 1}) {
    write_file(bad, good.substr(0, keep));
    const Caught c = opening(bad);
    CHECK(c.status == 2);
    CHECK(c.says("bad.h5"));
  }
  int found = 0;
  for (std::size_t at = 0; at < good.size(); at += 17) {
    std::string flipped = good;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
    write_file(bad, flipped);
    const Caught c = opening(bad);
    if (c.status == 0) {  // a byte between the parts of the file: nothing reads it, and the data must be whole
      const Shard s(bad);
      for (std::size_t i = 0; i < 3; ++i)
        REQUIRE(Tokens(s.document(i).tokens.begin(), s.document(i).tokens.end()) == kDocuments[i]);
      REQUIRE(s.tokenizer_hash() == 0xABCDEF);
      REQUIRE(s.document(0).prompt == 2);
    } else {
      REQUIRE(c.status == 2);
      REQUIRE(c.says("bad.h5"));
      ++found;
    }
  }
  CHECK(found > 50);
}

TEST_CASE("contents that cannot be are named") {
  TempDir dir;
  const fs::path path = dir / "x.h5";
  const auto after = [&](auto change) {
    sample(path);
    change();
    return opening(path);
  };
  CHECK(
      after([&] { edit<std::uint64_t>(path, "doc_offsets", 1, 9); }).says("x.h5: dataset 'doc_offsets': must ascend"));
  CHECK(after([&] { edit<std::uint64_t>(path, "doc_offsets", 3, 13); }).says("'doc_offsets': must ascend"));
  CHECK(after([&] {
          edit<std::uint32_t>(path, "doc_prompt", 1, 3);
        }).says("'doc_prompt': document 1: a prompt of 3 in 2 tokens"));
  CHECK(after([&] { edit<std::uint32_t>(path, "doc_source", 2, 7); }).says("'doc_source': document 2: no source 7"));
  CHECK(after([&] {
          edit<std::uint32_t>(path, "tokens", 4, 77);
        }).says("'tokens': its largest id is 77, the header says 9"));
  CHECK(after([&] {
          edit_header(path, "max_token", 10);
        }).says("'tokens': holds token id 10, beyond the tokenizer's 10 entries"));
  CHECK(after([&] { edit_header(path, "schema_version", 2); }).says("schema version 2; this program reads version 1"));
  {
    eddy::io::H5File file = eddy::io::H5File::create(path);
    file.root().create_dataset("tokens", eddy::io::H5Type::f32, {3});
    file.close();
  }
  CHECK(opening(path).says("x.h5: not a shard"));
  CHECK(opening(dir / "none.h5").says("none.h5: No such file"));
}

TEST_CASE("a token id beyond the vocabulary is not written") {
  TempDir dir;
  const Tokens ids{1, 10};
  const Caught c = caught([&] {
    write_shard(dir / "a.h5", {Split::train, 0, 0, 10}, {{2, 0, 0, 0}}, {"s"},
                [&](std::size_t) { return std::span(ids); });
  });
  CHECK(c.status == 2);
  CHECK(c.says("document 0 has token id 10, beyond the vocabulary of 10"));
}

TEST_CASE("a full disk is an error that names the file") {
  TempDir dir;
  const Tokens ids(100000, 1);
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  for (rlim_t bytes : {1000, 5000, 100000}) {
    const rlimit now{bytes, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &now);
    const Caught c = caught([&] {
      write_shard(dir / "full.h5", {Split::train, 0, 0, 10}, {{ids.size(), 0, 0, 0}}, {"s"},
                  [&](std::size_t) { return std::span(ids); });
    });
    setrlimit(RLIMIT_FSIZE, &before);
    CHECK(c.status == 1);
    CHECK(c.says("full.h5"));
  }
  CHECK(sample(dir / "after.h5").counts.documents == 3);  // HDF5 still works
  CHECK_NOTHROW(Shard(dir / "after.h5").verify());
}

TEST_CASE("a directory of shards: cut by a budget, whole or refused") {
  TempDir dir;
  const auto write = [&](const fs::path& at, std::uint64_t tokenizer) {
    DatasetWriter w(at, tokenizer, 10);
    for (std::uint32_t i = 0; i < 10; ++i) w.add(Split::train, Tokens(4, i));
    w.add(Split::test, Tokens(3, 1));
    w.finish(10);
  };
  write(dir / "d", 7);
  const Corpus c({dir / "d"}, Split::train);
  CHECK(c.shards().size() == 5);
  CHECK(c.documents() == 10);
  CHECK(c.tokens() == 40);
  CHECK(c.max_token() == 9);
  CHECK(c.document(7).tokens[0] == 7);
  CHECK(c.place(9).shard == 4);

  CHECK(caught([&] { Corpus({dir / "d"}, Split::validation); }).says("has no documents in its validation split"));
  CHECK(caught([&] { Corpus({dir / "nowhere"}, Split::train); }).says("nowhere: there is no such directory"));
  fs::create_directories(dir / "e");
  CHECK(caught([&] { Corpus({dir / "e"}, Split::train); }).says("no manifest.json"));
  write_file(dir / "e" / "manifest.json", "{\"format\": ");
  CHECK(caught([&] { Corpus({dir / "e"}, Split::train); }).says("manifest.json"));
  write_file(dir / "e" / "manifest.json", "{\"format\": \"eddy-shard\"}");
  CHECK(caught([&] { Corpus({dir / "e"}, Split::train); }).says("schema_version"));
  write(dir / "f", 8);
  const Caught mixed = caught([&] { Corpus({dir / "d", dir / "f"}, Split::train); });
  CHECK(mixed.status == 2);
  CHECK(mixed.says("was made with the tokenizer 0000000000000008"));
  const std::string manifest = read_file(dir / "f/manifest.json");
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = manifest;
    changed.replace(changed.find(from), from.size(), to);
    write_file(dir / "f/manifest.json", changed);
    return caught([&] { Corpus({dir / "f"}, Split::train); });
  };
  CHECK(with("\"vocab_size\": 10", "\"vocab_size\": -1").says("\"vocab_size\" is -1, not a whole number from 0 on"));
  CHECK(with("\"vocab_size\": 10", "\"vocab_size\": 1.5").says("\"vocab_size\" is 1.5"));
  CHECK(with("\"vocab_size\": 10", "\"vocab_size\": 0").says("manifest.json: vocab_size: a vocabulary of 0 tokens"));
  CHECK(with("\"vocab_size\": 10", "\"vocab_size\": 11").says("a vocabulary of 10 tokens, "));
  CHECK(with("\"documents\": 2", "\"documents\": -2").says("\"documents\" is -2"));
  write_file(dir / "f/manifest.json", manifest);
  const std::uint64_t minus_one = ~std::uint64_t{0};
  const fs::path shard = dir / "f/train-00000.h5";
  edit_header(shard, "vocab_size", minus_one);
  const Caught negative = caught([&] { Corpus({dir / "f"}, Split::train); });
  CHECK(negative.status == 2);
  CHECK(negative.says("train-00000.h5: vocab_size: a vocabulary of 18446744073709551615 tokens"));
  fs::resize_file(dir / "d" / "train-00003.h5", 100);
  CHECK(caught([&] { Corpus({dir / "d"}, Split::train); }).says("train-00003.h5: truncated"));
  fs::remove(dir / "d" / "train-00003.h5");
  CHECK(caught([&] { Corpus({dir / "d"}, Split::train); }).says("train-00003.h5: missing"));
}
