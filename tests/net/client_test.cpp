// Transfers against a server that misbehaves by the byte.
#include "net/client.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "catch.h"
#include "support.h"

using namespace eddy;
using net::Answer;
using net::Failure;

namespace {

/// Answers every connection once: hands the request's head to `serve`, which writes what it likes.
class RawServer {
 public:
  explicit RawServer(std::function<void(int fd, const std::string& head)> serve) : serve_(std::move(serve)) {
    listen_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t n = sizeof a;
    bind(listen_, reinterpret_cast<sockaddr*>(&a), n);
    listen(listen_, 16);
    getsockname(listen_, reinterpret_cast<sockaddr*>(&a), &n);
    port_ = ntohs(a.sin_port);
    thread_ = std::thread([this] {
      for (int fd; (fd = accept(listen_, nullptr, nullptr)) >= 0;) {
        std::string head;
        char c;
        while (head.find("\r\n\r\n") == std::string::npos && read(fd, &c, 1) == 1) head += c;
        serve_(fd, head);
        close(fd);
      }
    });
  }
  ~RawServer() {
    shutdown(listen_, SHUT_RDWR);
    close(listen_);
    thread_.join();
  }
  std::string url(const std::string& path = "/") const { return fmt::format("http://127.0.0.1:{}{}", port_, path); }

 private:
  std::function<void(int, const std::string&)> serve_;
  int listen_ = -1, port_ = 0;
  std::thread thread_;
};

void say(int fd, const std::string& bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t n = send(fd, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
    if (n <= 0) return;
    at += static_cast<std::size_t>(n);
  }
}
std::string packed(const std::string& bytes) {
  z_stream z{};
  deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&z, bytes.size()) + 32, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = static_cast<uInt>(bytes.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}
std::string ok(const std::string& body, const std::string& headers = "") {
  return fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{}\r\n{}", body.size(), headers, body);
}

Answer get(const std::string& url, net::ClientOptions options = {}, bool decode = true, std::uint64_t most = 1 << 24,
           const std::string& secret = "") {
  net::Client client(options);
  net::Request r;
  r.url = url;
  r.secret_query = secret;
  r.decode = decode;
  r.max_bytes = most;
  client.start(7, r);
  for (;;)
    for (auto& f : client.poll(1)) {
      CHECK(f.id == 7);
      return std::move(f.answer);
    }
}
Answer get_from(const std::string& bytes, net::ClientOptions options = {}, bool decode = true,
                std::uint64_t most = 1 << 24) {
  const RawServer server([&](int fd, const std::string&) { say(fd, bytes); });
  return get(server.url(), options, decode, most);
}

}  // namespace

TEST_CASE("an answer with its headers; what is secret is sent") {
  std::string head;
  const RawServer server([&](int fd, const std::string& h) {
    head = h;
    say(fd, ok("hello", "X-Thing:  two words \r\n"));
  });
  net::ClientOptions options;
  options.user_agent = "eddy-crawl/test";
  const double before = net::now();
  const Answer a = get(server.url("/a?b=1"), options, true, 100, "key=K");
  CHECK(a.failure == Failure::none);
  CHECK(a.status == 200);
  CHECK(a.body == "hello");
  CHECK(a.headers.at("x-thing") == "two words");
  CHECK(a.answered_at >= before);
  CHECK(a.answered_at <= net::now());
  CHECK(head.find("GET /a?b=1&key=K HTTP/1.1") == 0);
  CHECK(head.find("User-Agent: eddy-crawl/test") != std::string::npos);
}

TEST_CASE("gzip is undone, or left as it was sent") {
  const std::string text(5000, 'a'), bytes = packed(text);
  const std::string whole = ok(bytes, "Content-Encoding: gzip\r\n");
  CHECK(get_from(whole).body == text);
  CHECK(get_from(whole, {}, false).body == bytes);
}

TEST_CASE("limits on size, announced or not, and on what a body decompresses to") {
  CHECK(get_from(ok(std::string(2000, 'a')), {}, true, 1000).failure == Failure::too_large);
  const Answer unannounced = get_from("HTTP/1.1 200 OK\r\n\r\n" + std::string(2000, 'a'), {}, true, 1000);
  CHECK(unannounced.failure == Failure::too_large);
  CHECK(unannounced.body.size() <= 1000);
  const Answer bomb =
      get_from(ok(packed(std::string(20u << 20, '\0')), "Content-Encoding: gzip\r\n"), {}, true, 1u << 30);
  CHECK(bomb.failure == Failure::bomb);
  CHECK(bomb.body.size() < (4u << 20));
}

TEST_CASE("transfers that end too early, stall, or cannot begin") {
  CHECK(get_from("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").failure == Failure::truncated);
  CHECK(get_from("").failure == Failure::truncated);
  CHECK(get_from(ok(packed(std::string(5000, 'a')).substr(0, 20), "Content-Encoding: gzip\r\n")).body !=
        std::string(5000, 'a'));

  std::atomic<bool> end = false;
  const RawServer slow([&](int fd, const std::string&) {
    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    while (!end) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  });
  net::ClientOptions options;
  options.stall_s = 1;
  CHECK(get(slow.url(), options).failure == Failure::stalled);
  end = true;

  int port = 0;
  {
    const RawServer gone([](int, const std::string&) {});
    port = std::stoi(gone.url().substr(17));
  }
  const Answer refused = get(fmt::format("http://127.0.0.1:{}/?", port), {}, true, 100, "key=secret");
  CHECK(refused.failure == Failure::connect);
  CHECK(refused.what.find("secret") == std::string::npos);
  CHECK(get("file:///etc/passwd").failure == Failure::other);
}

TEST_CASE("redirects are reported as absolute URLs, not followed") {
  const Answer a = get_from("HTTP/1.1 301 Moved\r\nLocation: ../c?d=1\r\nContent-Length: 0\r\n\r\n");
  CHECK(a.status == 301);
  CHECK(a.location.find("http://127.0.0.1:") == 0);
  CHECK(a.location.find("/c?d=1") != std::string::npos);
}

TEST_CASE("hosts of URLs") {
  CHECK(net::host_of("https://Example.ORG/a") == "example.org");
  CHECK(net::host_of("http://user@example.org:8080/a") == "example.org:8080");
  CHECK(net::host_of("ftp://example.org/") == "");
  CHECK(net::host_of("nonsense") == "");
  CHECK(net::is_loopback("127.0.0.1:80"));
  CHECK_FALSE(net::is_loopback("127.0.0.1.example.org"));
}

TEST_CASE("a certificate that nobody vouches for is refused") {
  const eddy_test::TempDir dir;
  const auto made =
      eddy_test::run({"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", dir / "key", "-out",
                      dir / "cert", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"});
  if (made.status == 127) return eddy_test::skip("there is no openssl program");
  REQUIRE(made.status == 0);
  int port = 0;
  {
    const RawServer free([](int, const std::string&) {});
    port = std::stoi(free.url().substr(17));
  }
  std::thread server([&] {
    eddy_test::run({"openssl", "s_server", "-accept", std::to_string(port), "-key", dir / "key", "-cert", dir / "cert",
                    "-www", "-naccept", "40"},
                   0, 20);
  });
  const std::string url = fmt::format("https://localhost:{}/", port);
  Answer strange;
  for (int i = 0; i < 200; ++i) {
    strange = get(url);
    if (strange.failure != Failure::connect) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  CHECK(strange.failure == Failure::tls);
  net::ClientOptions trusting;
  trusting.ca_file = dir / "cert";
  CHECK(get(url, trusting).status == 200);
  CHECK(get(fmt::format("https://127.0.0.1:{}/", port), trusting).failure == Failure::tls);  // another name
  for (int i = 0; i < 40; ++i) get(url);  // its last connections: it ends
  server.join();
}
