#pragma once
// A hub on loopback for the tests of downloads, with faults to order.
#include "hf/download.h"

#include <httplib.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "catch.h"
#include "refusal.h"
#include "support.h"

namespace eddy_test {

inline std::string digest(const EVP_MD* kind, const std::string& data) {
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
  bool extra_always = false;       ///< also where it is empty
  std::string list;                ///< a list to answer with, whatever it is
  std::string next;                ///< where the list goes on, if not here
  /// Answers for a file in place of the hub; false: it does not.
  std::function<bool(const std::string& path, std::size_t from, const httplib::Request&, httplib::Response&)> fault;

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
      nlohmann::json entries = {{{"type", "directory"}, {"path", "sub"}, {"oid", "0"}}};
      std::size_t i = 0;
      for (const auto& [path, data] : files) {
        if ((i++ >= 2) != second) continue;
        nlohmann::json entry = {{"type", "file"},
                                {"path", path},
                                {"size", data.size()},
                                {"oid", digest(EVP_sha1(), "blob " + std::to_string(data.size()) + '\0' + data)}};
        if (data.size() > 1000)
          entry["lfs"] = {{"oid", digest(EVP_sha256(), lies ? data + "x" : data)}, {"size", data.size()}};
        entries.push_back(entry);
      }
      if (!extra.empty() || extra_always)
        entries.push_back({{"type", "file"}, {"path", extra}, {"size", 1}, {"oid", std::string(40, '0')}});
      if (!second)
        a.set_header("Link", "<" + (next.empty() ? url() : next) +
                                 "/api/models/org/model/tree/main?recursive=true&cursor=2>; rel=\"next\"");
      a.set_content(list.empty() ? entries.dump() : list, "application/json");
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
      if (fault && fault(path, from, r, a)) return;
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
  eddy::hf::DownloadOptions options() const {
    eddy::hf::DownloadOptions o;
    o.endpoint = url() + "/";
    o.parallel = 3;
    o.retries = 4;
    o.first_wait_s = 0.01;
    return o;
  }
  void check(const std::filesystem::path& out) const {
    for (const auto& [path, data] : files) {
      INFO(path);
      CHECK(read_file(out / path) == data);
      CHECK_FALSE(std::filesystem::exists(out / (path + ".partial")));
    }
  }
};

}  // namespace eddy_test
