#pragma once
// What is asked of a server, and what came back: plain values.
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace eddy::net {

struct Request {
  std::string method = "GET";
  std::string url;           ///< without keys: this is what logs and records show
  std::string secret_query;  ///< "api_key=…": appended to the URL when it is sent, shown nowhere
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  bool decode = true;           ///< undo Content-Encoding: gzip; false: the bytes as they were sent
  std::uint64_t max_bytes = 0;  ///< of the decoded body
};

/// Why there is no whole answer. `none`: there is one, whatever its status.
enum class Failure {
  none,
  connect,    ///< no connection: name, address, refusal
  tls,        ///< the server's certificate or the handshake
  timeout,    ///< slower than allowed as a whole
  stalled,    ///< no byte for too long
  truncated,  ///< the connection ended before the answer did
  too_large,  ///< more bytes than allowed
  bomb,       ///< decompresses to unreasonably more than was sent
  other,
};
const char* name_of(Failure failure);

struct Answer {
  Failure failure = Failure::none;
  std::string what;  ///< for a failure: libcurl's words (never a URL)
  int status = 0;
  std::map<std::string, std::string> headers;  ///< names in lower case; the last of several
  std::string body;
  std::string location;    ///< for a redirect: the absolute URL it names
  double answered_at = 0;  ///< when the first byte came, or the attempt failed: seconds since 1970
};

/// Seconds since 1970 by the system's clock, which other processes share.
double now();

}  // namespace eddy::net
