#include "hf/download_client.h"

#include <curl/curl.h>
#include <strings.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "base/log.h"

namespace eddy::hf {
namespace {

constexpr double kLongestWait = 3600;  ///< seconds, whatever a hub asks for

struct Tried {
  Answer answer;
  CURLcode code = CURLE_OK;
  double retry_after = 0;  ///< seconds
};

struct Call {
  CURL* handle;
  const HubClient::Sink& sink;
  Tried& tried;
  std::exception_ptr failure;  ///< none may pass through libcurl
};

std::size_t take_body(char* data, std::size_t one, std::size_t n, void* to) {
  Call& c = *static_cast<Call*>(to);
  long& status = c.tried.answer.status;
  curl_easy_getinfo(c.handle, CURLINFO_RESPONSE_CODE, &status);
  if (status >= 300) return one * n;  // an error's page
  try {
    if (c.sink(status, data, one * n)) return one * n;
  } catch (...) {
    c.failure = std::current_exception();
  }
  c.tried.answer.stopped = true;
  return 0;
}

/// Link: <URL>; rel="next"
std::size_t take_header(char* data, std::size_t one, std::size_t n, void* to) {
  const std::string line(data, one * n);
  if (line.size() > 5 && strncasecmp(line.c_str(), "link:", 5) == 0 && line.find("rel=\"next\"") != std::string::npos)
    if (const auto a = line.find('<'), b = line.find('>'); a < b && b != std::string::npos)
      static_cast<Call*>(to)->tried.answer.next = line.substr(a + 1, b - a - 1);
  return one * n;
}

/// "https://host:port" of a URL.
std::string origin_of(const std::string& url) {
  const auto scheme = url.find("://");
  return scheme == std::string::npos ? "" : url.substr(0, url.find('/', scheme + 3));
}

bool is_passing(long status) {
  return status == 408 || status == 425 || status == 429 || status >= 500;
}

}  // namespace

struct HubClient::Impl {
  const DownloadOptions& options;
  std::unique_ptr<CURL, void (*)(CURL*)> handle{curl_easy_init(), curl_easy_cleanup};
  std::unique_ptr<curl_slist, void (*)(curl_slist*)> headers{nullptr, curl_slist_free_all};

  Tried get(const std::string& url, std::uint64_t from, const Sink& sink) const;
};

HubClient::HubClient(const DownloadOptions& options, const std::string& token) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  impl_ = std::unique_ptr<Impl>(new Impl{options});
  if (!impl_->handle) fail_run("libcurl could not be started");
  if (!token.empty()) impl_->headers.reset(curl_slist_append(nullptr, ("Authorization: Bearer " + token).c_str()));
}
HubClient::~HubClient() = default;

Tried HubClient::Impl::get(const std::string& url, std::uint64_t from, const Sink& sink) const {
  CURL* h = handle.get();
  curl_easy_reset(h);
  Tried tried;
  Call call{h, sink, tried, nullptr};
  const std::string range = std::to_string(from) + "-";
  const auto set = [&](CURLoption option, auto value) {
    if (curl_easy_setopt(h, option, value) != CURLE_OK) fail_run("libcurl does not take an option ({})", int(option));
  };
  set(CURLOPT_URL, url.c_str());
  set(CURLOPT_FOLLOWLOCATION, 1L);
  set(CURLOPT_MAXREDIRS, 10L);
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  // the list of hashes must not come in the clear where it was asked for under TLS
  set(CURLOPT_REDIR_PROTOCOLS_STR, url.starts_with("https:") ? "https" : "http,https");
  set(CURLOPT_CONNECTTIMEOUT, 30L);
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(options.stall_s));
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_USERAGENT, "eddy/" EDDY_VERSION);
  set(CURLOPT_HTTPHEADER, headers.get());
  if (!options.proxy.empty()) set(CURLOPT_PROXY, options.proxy.c_str());
  if (from > 0) set(CURLOPT_RANGE, range.c_str());
  set(CURLOPT_WRITEFUNCTION, &take_body);
  set(CURLOPT_WRITEDATA, &call);
  set(CURLOPT_HEADERFUNCTION, &take_header);
  set(CURLOPT_HEADERDATA, &call);
  tried.code = curl_easy_perform(h);
  if (call.failure) std::rethrow_exception(call.failure);
  curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &tried.answer.status);
  curl_off_t seconds = 0;
  if (curl_easy_getinfo(h, CURLINFO_RETRY_AFTER, &seconds) == CURLE_OK)
    tried.retry_after = std::min(kLongestWait, static_cast<double>(seconds));
  return tried;
}

Answer HubClient::get(const std::string& url, const std::function<std::uint64_t()>& from, const Sink& sink) {
  double wait = impl_->options.first_wait_s;
  for (int attempt = 0;; ++attempt) {
    Tried t = impl_->get(url, from(), sink);
    const long status = t.answer.status;
    const bool answered = t.code == CURLE_OK || t.answer.stopped;
    if (answered && ((status >= 200 && status < 300) || status == 416)) {
      // the token goes along to the next page
      if (t.answer.next.starts_with('/')) t.answer.next = origin_of(url) + t.answer.next;
      if (!t.answer.next.empty() && origin_of(t.answer.next) != origin_of(url))
        fail_input("{}: the list goes on at another host, {}; it is not followed", url, t.answer.next);
      return t.answer;
    }
    if (answered && (status == 401 || status == 403))
      fail_input("{}: the hub answers {}: this repository needs a token that may read it (--token-file)", url, status);
    if (answered && status == 404)
      fail_input("{}: the hub answers 404: check the repository's name and --revision", url);
    if (answered && !is_passing(status))
      fail_input("{}: the hub answers {}; is --endpoint a Hugging Face hub?", url, status);
    if (t.code == CURLE_URL_MALFORMAT || t.code == CURLE_UNSUPPORTED_PROTOCOL)
      fail_input("{}: {}; give --endpoint as https://host", url, curl_easy_strerror(t.code));
    const std::string why = answered ? fmt::format("HTTP status {}", status) : std::string(curl_easy_strerror(t.code));
    if (attempt >= impl_->options.retries)
      fail_run("{}: {} after {} tries; run the same command again to go on", url, why, attempt + 1);
    const double pause = std::max(wait, t.retry_after);
    log::warning("{}: {}; tries again in {:.0f} s", url, why, pause);
    std::this_thread::sleep_for(std::chrono::duration<double>(pause));
    wait = std::min(60.0, 2 * wait);
  }
}

}  // namespace eddy::hf
