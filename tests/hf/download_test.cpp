// Fetching a model from a hub on loopback: ranges, hashes, interruptions, pages, tokens, refusals.
#include "hf/download.h"

#include <httplib.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#include <atomic>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "catch.h"
#include "refusal.h"
#include "support.h"

using namespace eddy;
using namespace eddy_test;
namespace fs = std::filesystem;

namespace {

std::string digest(const EVP_MD* kind, const std::string& data) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned int n = 0;
  EVP_Digest(data.data(), data.size(), out, &n, kind, nullptr);
  std::string hex;
  for (unsigned int i = 0; i < n; ++i) hex += fmt::format("{:02x}", out[i]);
  return hex;
}

/// A hub with one repository of two large files and two small ones, listed on two pages.
struct Hub {
  httplib::Server server;
  std::thread thread;
  int port = 0;
  std::map<std::string, std::string> files;
  std::string token;         ///< asked for where not empty
  std::atomic<int> cut{0};   ///< so many answers are cut off in the middle
  std::atomic<int> busy{0};  ///< so many requests are answered 503
  std::atomic<bool> ranges{true}, lies{false};
  std::mutex mutex;
  std::vector<std::string> asked;  ///< "path from"
  std::string extra;               ///< a further path in the list

  Hub() {
    for (const char* name : {"model-00001-of-000002.safetensors", "model-00002-of-000002.safetensors"}) {
      std::string& data = files[name];
      for (int i = 0; i < 300000; ++i) data += static_cast<char>((i * 31 + name[10] * i / 7) & 0xff);
    }
    files["config.json"] = "{}";
    files["sub/a b.txt"] = "with a space";
    server.Get(R"(/api/models/org/model/tree/main)", [this](const httplib::Request& r, httplib::Response& a) {
      if (refused(r, a)) return;
      const bool second = r.has_param("cursor");
      nlohmann::json list = {{{"type", "directory"}, {"path", "sub"}, {"oid", "0"}}};
      std::size_t i = 0;
      for (const auto& [path, data] : files) {
        if ((i++ >= 2) != second) continue;
        nlohmann::json entry = {{"type", "file"},
                                {"path", path},
                                {"size", data.size()},
                                {"oid", digest(EVP_sha1(), "blob " + std::to_string(data.size()) + '\0' + data)}};
        if (data.size() > 1000)
          entry["lfs"] = {{"oid", digest(EVP_sha256(), lies ? data + "x" : data)}, {"size", data.size()}};
        list.push_back(entry);
      }
      if (!extra.empty()) list.push_back({{"type", "file"}, {"path", extra}, {"size", 1}, {"oid", "00"}});
      if (!second)
        a.set_header("Link", "<" + url() + "/api/models/org/model/tree/main?recursive=true&cursor=2>; rel=\"next\"");
      a.set_content(list.dump(), "application/json");
    });
    server.Get(R"(/org/model/resolve/main/(.*))", [this](const httplib::Request& r, httplib::Response& a) {
      if (refused(r, a)) return;
      const std::string path = r.matches[1], data = files.at(path);
      const std::string range = r.get_header_value("Range");
      const std::size_t from = range.empty() ? 0 : std::stoul(range.substr(6));
      {
        const std::lock_guard lock(mutex);
        asked.push_back(path + " " + std::to_string(from));
      }
      if (data.size() > 1000 && cut > 0 && cut-- > 0) {  // half of what is left, and the connection ends
        const std::size_t left = data.size() - from;
        a.set_content_provider(left, "application/octet-stream",
                               [data, from, left](std::size_t at, std::size_t, httplib::DataSink& sink) {
                                 if (at >= left / 2) return false;
                                 return sink.write(data.data() + from + at, left / 2 - at);
                               });
        return;
      }
      a.set_content(data, "application/octet-stream");  // the library cuts the range out
      if (!ranges) const_cast<httplib::Request&>(r).ranges.clear();
    });
    port = server.bind_to_any_port("127.0.0.1");
    thread = std::thread([this] { server.listen_after_bind(); });
  }
  ~Hub() {
    server.stop();
    thread.join();
  }
  bool refused(const httplib::Request& r, httplib::Response& a) {
    if (busy > 0 && busy-- > 0) {
      a.status = 503;
      return true;
    }
    if (token.empty() || r.get_header_value("Authorization") == "Bearer " + token) return false;
    a.status = 401;
    return true;
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port); }
  hf::DownloadOptions options() const {
    hf::DownloadOptions o;
    o.endpoint = url() + "/";
    o.parallel = 3;
    o.retries = 4;
    o.first_wait_s = 0.01;
    return o;
  }
  void check(const fs::path& out) const {
    for (const auto& [path, data] : files) {
      INFO(path);
      CHECK(read_file(out / path) == data);
      CHECK_FALSE(fs::exists(out / (path + ".partial")));
    }
  }
};

}  // namespace

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
