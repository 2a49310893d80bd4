// Fetching a model from a hub on loopback: ranges, hashes, interruptions, pages, tokens, refusals.
#include "hub.h"

using namespace eddy;
using namespace eddy_test;
namespace fs = std::filesystem;

TEST_CASE("all files, with their hashes; again, nothing is fetched") {
  Hub hub;
  const TempDir dir;
  const auto got = hf::download("org/model", dir.path(), hub.options());
  CHECK((got.files == 4 && got.kept == 0));
  hub.check(dir.path());
  const std::size_t before = hub.asked.size();
  CHECK(hf::download("org/model", dir.path(), hub.options()).kept == 4);
  CHECK(hub.asked.size() == before);
}

TEST_CASE("what came before an interruption is not fetched again") {
  Hub hub;
  const TempDir dir;
  hub.cut = 3;
  hub.busy = 2;
  hf::download("org/model", dir.path(), hub.options());
  hub.check(dir.path());
  bool middle = false;
  for (const std::string& a : hub.asked) middle = middle || a.ends_with(" 150000");
  CHECK(middle);
  // a file of an earlier run, cut off
  const std::string name = "model-00001-of-000002.safetensors";
  fs::remove(dir / name);
  write_file(dir / (name + ".partial"), hub.files[name].substr(0, 100000));
  hub.asked.clear();
  hf::download("org/model", dir.path(), hub.options());
  CHECK(hub.asked == std::vector<std::string>{name + " 100000"});
  hub.check(dir.path());
  // one that is damaged: its hash tells, and it is fetched anew; so with a server that knows no ranges
  for (const bool ranges : {true, false}) {
    hub.ranges = ranges;
    fs::remove(dir / name);
    write_file(dir / (name + ".partial"), std::string(100000, 'x'));
    hf::download("org/model", dir.path(), hub.options());
    hub.check(dir.path());
  }
}

TEST_CASE("refusals") {
  Hub hub;
  const TempDir dir;
  auto o = hub.options();
  CHECK(lacks(refusal([&] { hf::download("org/none", dir.path(), o); }), {"404", "revision"}) == "");
  hub.token = "secret";
  CHECK(lacks(refusal([&] { hf::download("org/model", dir.path(), o); }), {"401", "--token-file"}) == "");
  o.token_file = dir / "token";
  write_file(o.token_file, "secret\n");
  ::chmod(o.token_file.c_str(), 0644);
  CHECK(lacks(refusal([&] { hf::download("org/model", dir.path(), o); }), {"token", "chmod 600"}) == "");
  ::chmod(o.token_file.c_str(), 0600);
  hf::download("org/model", dir / "out", o);
  hub.check(dir / "out");
  hub.extra = "../evil";
  CHECK(lacks(refusal([&] { hf::download("org/model", dir / "out", o); }), {"../evil", "outside"}) == "");
  hub.extra.clear();
  hub.lies = true;
  const std::string said = refusal([&] { hf::download("org/model", dir / "wrong", o); }, Exit::failed);
  CHECK(lacks(said, {"hash", "twice"}) == "");
  CHECK_FALSE(fs::exists(dir / "wrong/model-00001-of-000002.safetensors"));
  hub.lies = false;
  hub.busy = 1000;
  CHECK(lacks(refusal([&] { hf::download("org/model", dir / "busy", o); }, Exit::failed), {"503", "5 tries"}) == "");
}
