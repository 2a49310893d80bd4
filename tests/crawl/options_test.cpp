// The configurations that come with Eddy, and what the options refuse.
#include "crawl/options.h"

#include "catch.h"
#include "crawl/seeds.h"
#include "refusal.h"
#include "support.h"

using namespace eddy::crawl;
using eddy_test::lacks;
using eddy_test::refusal;
namespace fs = std::filesystem;

namespace {
CrawlOptions parse(std::vector<const char*> arguments, std::string* ini = nullptr) {
  arguments.insert(arguments.begin(), {"eddy-crawl", "--out=x"});
  CrawlOptions options;
  std::string text;
  if (!parse_options(static_cast<int>(arguments.size()), arguments.data(), options, text)) FAIL("did not go on");
  if (ini) *ini = text;
  return options;
}
}  // namespace

TEST_CASE("every configuration of configs/corpus can be used") {
  int files = 0;
  for (const auto& e : fs::directory_iterator(eddy_test::source_dir() / "configs/corpus")) {
    if (e.path().extension() != ".ini") continue;
    const std::string argument = "--config=" + e.path().string();
    INFO(argument);
    const CrawlOptions options = parse({argument.c_str()});
    CHECK(read_seeds(options.from).size() + options.authors.size() > 0);
    CHECK(options.depth == 2);
    ++files;
  }
  CHECK(files == 4);
}

TEST_CASE("the real services keep their published rates whatever is asked for") {
  CrawlOptions options = parse({"--from=2101.00001", "--api.arxiv.interval_s=0", "--api.s2.interval_s=0.1"});
  auto services = make_services(options);
  REQUIRE(services.size() == 5);
  CHECK(services[0].floor_s == 1);
  CHECK(services[1].floor_s == 3);
  options.arxiv.url = "https://ARXIV.org/";
  CHECK(make_services(options)[1].floor_s == 3);
  options.arxiv.url = "http://127.0.0.1:8080/arxiv/";
  services = make_services(options);
  CHECK(services[1].floor_s == 0);
  CHECK(services[1].url == "http://127.0.0.1:8080/arxiv");
  CHECK_FALSE(services[4].use);  // Unpaywall wants an address
}

TEST_CASE("what the options refuse") {
  CHECK(lacks(refusal([] { parse({}); }), {"--from", "--from.author"}) == "");
  CHECK(lacks(refusal([] {
                const char* arguments[] = {"eddy-crawl", "--out=", "--from=2101.00001"};
                CrawlOptions options;
                std::string text;
                parse_options(3, arguments, options, text);
              }),
              {"--out", "name"}) == "");
  CHECK(lacks(refusal([] { parse({"--from=2101.00001", "--limit.bytes=lots"}); }), {"limit.bytes", "lots"}) == "");
  CHECK(lacks(refusal([] {
                parse({"--from=2101.00001", "--limit.year_min=2000", "--limit.year_max=1999"});
              }),
              {"limit.year_min"}) == "");
  CHECK(lacks(refusal([] { parse({"--from=2101.00001", "--contact=me"}); }), {"contact", "e-mail"}) == "");
  CHECK(lacks(refusal([] { parse({"--from=2101.00001", "--net.proxy=http://me:word@p:1"}); }), {"net.proxy"}) == "");
  CrawlOptions options = parse({"--from=2101.00001"});
  options.s2.url = "https://me:word@x.org";
  CHECK(refusal([&] { make_services(options); }).find("word@") == std::string::npos);
  options.s2.url = "ftp://x.org";
  CHECK(lacks(refusal([&] { make_services(options); }), {"api.s2.url"}) == "");
  const eddy_test::TempDir dir;
  eddy_test::write_file(dir / "key", "k123456");
  fs::permissions(dir / "key", fs::perms::owner_read | fs::perms::owner_write);
  options.s2.url = "http://mirror.example.org/graph";
  options.s2.key_file = dir / "key";
  const std::string text = refusal([&] { make_services(options); });
  CHECK(lacks(text, {"api.s2.url", "unencrypted"}) == "");
  CHECK(text.find("k123456") == std::string::npos);
}
