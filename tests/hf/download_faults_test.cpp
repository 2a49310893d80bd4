// A hub that cuts off, stalls, lies, sends elsewhere or asks to wait: what is fetched is what it lists, or it is said
// why not; a token goes to no other host; what lies in the folder is left alone.
#include <chrono>

#include "hub.h"

using namespace eddy;
using namespace eddy_test;
namespace fs = std::filesystem;

namespace {

const std::string kLarge = "model-00001-of-000002.safetensors";

double seconds_of(const std::function<void()>& act) {
  const auto begin = std::chrono::steady_clock::now();
  act();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// Another host, which notes what it is asked with.
struct Elsewhere {
  httplib::Server server;
  std::thread thread;
  int port = 0;
  std::atomic<int> asked{0}, with_token{0};
  std::string body;
  Elsewhere() {
    server.Get("/.*", [this](const httplib::Request& r, httplib::Response& a) {
      ++asked;
      with_token += r.has_header("Authorization");
      a.set_content(body, "application/octet-stream");
    });
    port = server.bind_to_any_port("127.0.0.1");
    thread = std::thread([this] { server.listen_after_bind(); });
  }
  ~Elsewhere() {
    server.stop();
    thread.join();
  }
};

}  // namespace

TEST_CASE("answers that end early without a sign are continued") {
  Hub hub;
  const TempDir dir;
  int answers = 0;
  hub.fault = [&](const std::string& path, std::size_t from, const httplib::Request&, httplib::Response& a) {
    if (path != kLarge) return false;
    const std::string part = hub.files[path].substr(from, 70000);
    ++answers;
    a.status = from ? 206 : 200;
    a.set_chunked_content_provider("application/octet-stream", [part](std::size_t, httplib::DataSink& sink) {
      sink.write(part.data(), part.size());
      sink.done();
      return true;
    });
    return true;
  };
  hf::download("org/model", dir.path(), hub.options());
  hub.check(dir.path());
  CHECK(answers == 5);
}

TEST_CASE("a connection that stalls is given up and taken up again") {
  Hub hub;
  const TempDir dir;
  std::atomic<int> stalls{0};
  std::atomic<bool> over{false};
  hub.fault = [&](const std::string& path, std::size_t, const httplib::Request&, httplib::Response& a) {
    if (path != kLarge || stalls++ > 0) return false;
    a.set_content_provider(hub.files[path].size(), "application/octet-stream",
                           [&](std::size_t at, std::size_t, httplib::DataSink& sink) {
                             if (at == 0) return sink.write(hub.files[kLarge].data(), 1000);
                             for (int i = 0; i < 300 && !over; ++i)
                               std::this_thread::sleep_for(std::chrono::milliseconds(100));
                             return false;
                           });
    return true;
  };
  auto o = hub.options();
  o.stall_s = 1;
  CHECK(seconds_of([&] { hf::download("org/model", dir.path(), o); }) < 25);
  over = true;
  hub.check(dir.path());
}

TEST_CASE("429: waits as long as the hub says") {
  Hub hub;
  const TempDir dir;
  std::atomic<int> times{0};
  hub.fault = [&](const std::string& path, std::size_t, const httplib::Request&, httplib::Response& a) {
    if (path != kLarge || times++ > 0) return false;
    a.status = 429;
    a.set_header("Retry-After", "2");
    return true;
  };
  CHECK(seconds_of([&] { hf::download("org/model", dir.path(), hub.options()); }) > 1.9);
  hub.check(dir.path());
}

TEST_CASE("a page in place of a file is not taken for it") {
  for (const std::size_t length : {std::size_t{500}, std::size_t{400000}}) {
    Hub hub;
    const TempDir dir;
    hub.fault = [&](const std::string& path, std::size_t, const httplib::Request&, httplib::Response& a) {
      if (path != kLarge) return false;
      a.set_content("<html>" + std::string(length, ' ') + "</html>", "text/html");
      return true;
    };
    const std::string said = refusal([&] { hf::download("org/model", dir.path(), hub.options()); }, Exit::failed);
    CHECK(lacks(said, {kLarge, "hash", "twice"}) == "");
    CHECK_FALSE(fs::exists(dir / kLarge));
    CHECK_FALSE(fs::exists(dir / (kLarge + ".partial")));
  }
}

TEST_CASE("a hub that has less of a file than a broken run fetched") {
  Hub hub;
  const TempDir dir;
  write_file(dir / (kLarge + ".partial"), std::string(200000, 'x'));
  hub.fault = [&](const std::string&, std::size_t from, const httplib::Request&, httplib::Response& a) {
    if (from == 0) return false;
    a.status = 416;
    return true;
  };
  hf::download("org/model", dir.path(), hub.options());
  hub.check(dir.path());
}

TEST_CASE("a token goes to no other host") {
  Hub hub;
  const TempDir dir;
  Elsewhere other;
  hub.token = "secret-token";
  auto o = hub.options();
  o.token_file = dir / "token";
  write_file(o.token_file, hub.token + "\n");
  fs::permissions(o.token_file, fs::perms::owner_read | fs::perms::owner_write);
  for (const std::string host : {"localhost", "127.0.0.1"}) {  // another name; the same with another port
    CAPTURE(host);
    other.asked = 0;
    other.body = hub.files[kLarge];
    hub.fault = [&](const std::string& path, std::size_t, const httplib::Request&, httplib::Response& a) {
      if (path != kLarge) return false;
      a.set_redirect("http://" + host + ":" + std::to_string(other.port) + "/blob", 302);
      return true;
    };
    hf::download("org/model", dir / host, o);
    hub.check(dir / host);
    CHECK(other.asked == 1);
    CHECK(other.with_token == 0);
  }
  // nor does the list lead there
  other.asked = 0;
  hub.next = "http://127.0.0.1:" + std::to_string(other.port);
  CHECK(lacks(refusal([&] { hf::download("org/model", dir / "list", o); }), {"another host", hub.next}) == "");
  CHECK(other.asked == 0);
  hub.next = "/";
}

TEST_CASE("lists that are none, or lead out of the folder") {
  Hub hub;
  const TempDir dir;
  const auto refused = [&](const std::string& extra) {
    hub.extra = extra;
    return refusal([&] { hf::download("org/model", dir / "out", hub.options()); });
  };
  for (const std::string path : {"/etc/evil", "a/../../evil", "..", "a/./b", "a/", "", "./a"}) {
    CAPTURE(path);
    hub.extra_always = true;
    CHECK(lacks(refused(path), {"'" + path + "'", "outside the folder"}) == "");
  }
  for (const std::string& path :
       {std::string("a\x1b[31mred"), std::string("a\0b", 3), std::string("a\nb"), std::string("\x7f")})
    CHECK(lacks(refused(path), {"control characters", "?"}) == "");
  CHECK(lacks(refused("config.json"), {"'config.json'", "twice"}) == "");
  CHECK(lacks(refused("config.json.partial"), {"'config.json.partial'", "twice"}) == "");
  hub.extra_always = false;
  hub.extra.clear();
  CHECK_FALSE(fs::exists(dir / "evil"));
  for (const std::string list :
       {"<html>login</html>", "{}", "", "[{\"type\": \"file\"}]", "[{\"type\": \"file\", \"path\": 3}]",
        "[{\"type\": \"file\", \"path\": \"a\", \"oid\": 3, \"size\": 1}]",
        "[{\"type\": \"file\", \"path\": \"a\", \"oid\": \"00\", \"size\": 1}]",
        "[{\"type\": \"file\", \"path\": \"a\", \"size\": -1}]", "[]", "[3]"}) {
    CAPTURE(list);
    hub.list = list.empty() ? " " : list;
    const std::string said = refusal([&] { hf::download("org/model", dir / "out", hub.options()); });
    CHECK(said.find(hub.url()) != std::string::npos);
    CHECK(said.find("exception") == std::string::npos);
  }
  auto o = hub.options();
  for (const std::string endpoint : {"::::", "ftp://127.0.0.1", "file:///etc"}) {
    CAPTURE(endpoint);
    o.endpoint = endpoint;
    CHECK(lacks(refusal([&] { hf::download("org/model", dir / "out", o); }), {"--endpoint", "https://"}) == "");
  }
}

TEST_CASE("what lies in the folder is compared, and left alone where it is another") {
  Hub hub;
  const TempDir dir;
  hf::download("org/model", dir.path(), hub.options());
  std::string altered = hub.files[kLarge];
  altered[77] ^= 1;
  write_file(dir / kLarge, altered);
  CHECK(lacks(refusal([&] { hf::download("org/model", dir.path(), hub.options()); }), {kLarge, "hash", "remove"}) ==
        "");
  CHECK(read_file(dir / kLarge) == altered);
  write_file(dir / kLarge, hub.files[kLarge]);
  write_file(dir / "config.json", "{\"mine\": 1}");
  CHECK(lacks(refusal([&] { hf::download("org/model", dir.path(), hub.options()); }),
              {"config.json", "size", "remove"}) == "");
  CHECK(read_file(dir / "config.json") == "{\"mine\": 1}");
}
