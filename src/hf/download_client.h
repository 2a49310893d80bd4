#pragma once
// Requests to a Hugging Face hub with libcurl: ranges, redirections, retries.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "hf/download.h"

namespace eddy::hf {

struct Answer {
  long status = 0;
  bool stopped = false;  ///< the sink has had enough
  std::string next;      ///< of a list in pages: the next one's URL, on the same host
};

/// A connection with the options that all requests share. One thread's.
class HubClient {
 public:
  /// Takes a part of the body; false ends the request.
  using Sink = std::function<bool(long status, const char* data, std::size_t bytes)>;

  /// The token goes to the endpoint's host only: libcurl leaves it out where a redirection leads elsewhere.
  HubClient(const DownloadOptions& options, const std::string& token);
  ~HubClient();

  /// GET until it is answered with 2xx or 416, the body from byte `from` on (asked anew before each try) going to
  /// `sink`. Waits and tries again on network errors, 408, 425, 429 and 5xx: as long as the hub's Retry-After says,
  /// else twice as long each time. Throws Error: status 2 for other answers, status 1 when the tries are used up; what
  /// the sink throws passes through.
  Answer get(const std::string& url, const std::function<std::uint64_t()>& from, const Sink& sink);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace eddy::hf
