// Records, tar files, payloads; and what a killed writer leaves.
#include "crawl/store.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/secret.h"
#include "catch.h"
#include "crawl/paper.h"
#include "crawl/payload.h"
#include "refusal.h"
#include "support.h"
#include "world.h"

using namespace eddy;
using namespace eddy::crawl;
using eddy_test::TempDir;
namespace fs = std::filesystem;

namespace {

void append(const fs::path& file, const std::string& bytes) {
  eddy_test::write_file(file, eddy_test::read_file(file) + bytes);
}
Record record(const std::string& key, bool ok = true) {
  Record r;
  r.key = key;
  r.channel = "arxiv";
  r.ok = ok;
  r.reason = ok ? "" : "HTTP 500";
  r.json = nlohmann::json{{"a", 1}};
  return r;
}
Record payload_record(Writer& writer, const std::string& key, const std::string& bytes) {
  Record r = record(key);
  Payload p{"pdf", "application/pdf", sha256(bytes), bytes.size(), "", "", 0};
  p.member = p.sha256 + ".pdf";
  const TarPlace place = writer.store("arxiv", p.member, bytes);
  p.tar = "payloads/" + place.file;
  p.offset = place.offset;
  r.payload = p.json();
  return r;
}

}  // namespace

TEST_CASE("what is committed is found again, whatever rank wrote it") {
  const TempDir dir;
  make_store(dir.path());
  {
    Writer zero(dir.path(), 0, 1 << 20, {}), one(dir.path(), 1, 1 << 20, {});
    zero.commit(record("k0"));
    one.commit(record("k1", false));
    zero.commit(record("k2"));
  }
  const Memory memory(dir.path());
  CHECK(memory.size() == 3);
  REQUIRE(memory.find("k2"));
  CHECK(memory.find("k2")->json.at("a") == 1);
  CHECK(memory.find("k1")->reason == "HTTP 500");
  CHECK_FALSE(memory.find("k1", true));
  CHECK_FALSE(memory.find("k3"));

  Writer again(dir.path(), 0, 1 << 20, {});
  again.commit(record("k1"));  // asked once more: the good answer counts
  CHECK(Memory(dir.path()).find("k1")->ok);
}

TEST_CASE("a torn last line is dropped, and writing goes on behind the one before") {
  const TempDir dir;
  make_store(dir.path());
  Writer(dir.path(), 0, 1 << 20, {}).commit(record("whole"));
  const std::string line = record("torn").line();
  for (const std::size_t cut : {std::size_t{1}, line.size() / 2, line.size() - 1}) {
    append(dir / "records/rank-0000.jsonl", line.substr(0, cut));
    const Memory memory(dir.path());
    CHECK(memory.size() == 1);
    CHECK(eddy_test::read_file(dir / "records/rank-0000.jsonl").back() == '\n');
  }
  const std::string good = eddy_test::read_file(dir / "records/rank-0000.jsonl");
  for (const char* bad : {R"({"key": 1})", "[]", "words", R"({"key": "k", "channel": "c", "ok": true, "payload": {}})",
                          R"({"key": "k", "channel": "c", "ok": true, "payload": [1]})",
                          R"({"key": "k", "channel": "c", "ok": true, "status": "x"})"}) {
    INFO(bad);
    eddy_test::write_file(dir / "records/rank-0000.jsonl", good + bad + "\n");
    const std::string text = eddy_test::refusal([&] { Memory m(dir.path()); });
    CHECK(eddy_test::lacks(text, {"rank-0000.jsonl, line 2", "restore the file"}) == "");
    CHECK(text.find("json.exception") == std::string::npos);
  }
}

TEST_CASE("payloads that no record names are cut off; named ones that lack are told") {
  const TempDir dir;
  make_store(dir.path());
  const std::string a(700, 'a'), b(1300, 'b');
  {
    Writer writer(dir.path(), 0, 1 << 20, {});
    writer.commit(payload_record(writer, "a", a));
    payload_record(writer, "b", b);  // killed before its record
  }
  const fs::path tar = dir / "payloads/arxiv-0000.tar";
  CHECK(fs::file_size(tar) == 512 + 1024 + 512 + 1536);
  { const Memory memory(dir.path()); }
  CHECK(fs::file_size(tar) == 512 + 1024);
  const auto members = tar_members(tar);
  REQUIRE(members.size() == 1);
  CHECK(members.begin()->second.offset == 512);
  {
    Writer writer(dir.path(), 3, 1 << 20, {});
    const Record r = payload_record(writer, "b", b);
    writer.commit(r);
    CHECK(r.payload.at("offset") == 2048);
    CHECK(payload_record(writer, "c", a).payload.at("offset") == 512);  // the same bytes are kept once
  }
  const auto listed = eddy_test::run({"tar", "-tvf", tar});
  CHECK(listed.status == 0);
  CHECK(listed.out.find(sha256(b) + ".pdf") != std::string::npos);
  CHECK(eddy_test::run({"tar", "-xOf", tar, sha256(b) + ".pdf"}).out == b);
  fs::resize_file(tar, 1000);
  CHECK(eddy_test::lacks(eddy_test::refusal([&] { Memory m(dir.path()); }), {"arxiv-0000.tar", "1000 bytes"}) == "");
  fs::remove(tar);
  CHECK(eddy_test::lacks(eddy_test::refusal([&] { Memory m(dir.path()); }), {"arxiv-0000.tar", "missing"}) == "");
}

TEST_CASE("tar files end at their size, and a torn one is not taken for a whole one") {
  const TempDir dir;
  TarWriter writer(dir.path(), "x", 4000);
  CHECK(writer.append("one", std::string(3000, '1')).file == "x-0000.tar");
  CHECK(writer.append("two", std::string(3000, '2')).file == "x-0001.tar");
  CHECK(writer.append("big", std::string(9000, '3')).file == "x-0002.tar");
  TarWriter again(dir.path(), "x", 4000);
  CHECK(again.append("one", std::string(3000, '1')).file == "x-0000.tar");
  CHECK(again.append("four", std::string(10, '4')).file == "x-0003.tar");
  fs::resize_file(dir / "x-0001.tar", 2000);
  CHECK(eddy_test::lacks(eddy_test::refusal([&] { tar_members(dir / "x-0001.tar"); }), {"x-0001.tar", "byte 0"}) == "");
}

TEST_CASE("secrets do not reach records, in any spelling") {
  const TempDir dir;
  make_store(dir.path());
  Record r = record("k");
  r.url = "https://x.org/?key=a%2Fb+secret";
  r.text = "you sent a/b+secret, and a%2Fb%2Bsecret";
  const std::string line = Writer(dir.path(), 0, 1 << 20, {"a/b+secret"}).commit(r);
  CHECK(line.find("you sent REDACTED, and REDACTED") != std::string::npos);
  eddy_test::write_file(dir / "key", "abc def\n");
  fs::permissions(dir / "key", fs::perms::owner_read);
  const std::string text = eddy_test::refusal([&] { read_secret("EDDY_NO_SUCH_VARIABLE", dir / "key"); });
  CHECK(text.find("abc") == std::string::npos);
  CHECK(read_secret("EDDY_NO_SUCH_VARIABLE", "").empty());
}

TEST_CASE("file names of channels") {
  CHECK(file_stem("arxiv") == "arxiv");
  CHECK(file_stem("host:example.org:80") == "host_example.org_80");
  CHECK(file_stem("host:a/../b").find('/') == std::string::npos);
  CHECK(file_stem("host:a/b") != file_stem("host:a-b"));
  CHECK(file_stem("host:" + std::string(300, 'a')).size() < 130);
}

TEST_CASE("payloads are known by their bytes") {
  const PayloadLimits limits;
  const eddy_test::World world(30);
  CHECK(inspect_payload(world.eprint(1), limits).kind == "latex");
  CHECK(inspect_payload(world.eprint(1), limits).ending == "tar.gz");
  CHECK(inspect_payload(world.eprint(2), limits).kind == "tex");
  CHECK(inspect_payload(world.eprint(10), limits).kind == "pdf");
  CHECK(inspect_payload("<html>sorry</html>", limits).reason == "neither source nor PDF");
  CHECK(inspect_payload("", limits).reason == "empty");
  const std::string whole = world.eprint(1);
  const PayloadKind cut = inspect_payload(whole.substr(0, whole.size() - 20), limits);
  CHECK(cut.reason == "damaged gzip stream");
  CHECK(cut.damaged);
  std::string changed = whole;
  changed[changed.size() / 2] ^= 0x55;
  CHECK(inspect_payload(changed, limits).damaged);
  CHECK(inspect_payload(eddy_test::gzip_zeros(80u << 20), limits).reason == "decompression bomb");
  CHECK(inspect_payload(eddy_test::gzip_zeros(3000), {2000, 200}).reason == "unpacks to more than allowed");
  CHECK(inspect_payload(eddy_test::gzip("%PDF-1.4 gzipped"), limits).kind.empty());
  CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");  // FIPS 180-2
}
