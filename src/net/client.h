#pragma once
// HTTP requests under way at the same time (libcurl's multi interface), within limits. Certificates are verified.
// Redirects are reported, not followed: whoever paces the requests decides (channel.h).
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "net/message.h"

namespace eddy::net {

struct ClientOptions {
  std::string user_agent = "eddy-crawl";
  std::string proxy;           ///< "http://proxy:3128"; empty: as http_proxy, https_proxy, no_proxy say
  std::string ca_file;         ///< certificates to trust beside none; empty: the system's
  double connect_s = 30;       ///< seconds until a connection stands
  double stall_s = 60;         ///< seconds without a byte
  double total_s = 900;        ///< seconds a request, all in all
  double max_expansion = 200;  ///< decoded over sent bytes, beyond a first MiB
};

class Client {
 public:
  explicit Client(const ClientOptions& options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Begins a request; `id` names it among those under way.
  void start(std::uint64_t id, const Request& request);
  struct Finished {
    std::uint64_t id;
    Answer answer;
  };
  /// Lets the requests go on for up to this long; returns as soon as one or more have ended.
  std::vector<Finished> poll(double seconds);
  std::size_t under_way() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Why these certificates or this proxy cannot be used, beginning with "net.ca_file = …" or "net.proxy = …": a file
/// that holds none or cannot be read, what is no URL of a proxy, one that takes no connection. "" where nothing is
/// wrong.
std::string trouble_with(const ClientOptions& options);

/// "https://Host:8080/a" → "host:8080" in lower case; "" for what is no http or https URL.
std::string host_of(const std::string& url);
/// A host that is this machine's own: "localhost", "127.0.0.1", "[::1]", with any port.
bool is_loopback(const std::string& host);

}  // namespace eddy::net
