#include "net/client.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <map>
#include <mutex>

#include "base/error.h"
#include "net/handles.h"

namespace eddy::net {
namespace {

void check(CURLcode code, const char* what) {
  if (code != CURLE_OK) fail_run("libcurl: {}: {}", what, curl_easy_strerror(code));
}
void check(CURLMcode code, const char* what) {
  if (code != CURLM_OK) fail_run("libcurl: {}: {}", what, curl_multi_strerror(code));
}

/// One request under way. Its address is libcurl's.
struct Transfer {
  std::uint64_t id = 0;
  Request request;
  std::string url;  // with the secrets
  Easy easy;
  List headers;
  Answer answer;
  double max_expansion = 0;
};

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
  auto& t = *static_cast<Transfer*>(user);
  const std::string line(data, size * count);
  if (line.starts_with("HTTP/")) {  // of several answers (100 Continue, a proxy's) the last one counts
    t.answer.headers.clear();
    t.answer.answered_at = now();
  } else if (const auto colon = line.find(':'); colon != std::string::npos) {
    std::string name = line.substr(0, colon), value = line.substr(colon + 1);
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    while (!value.empty() && std::isspace(static_cast<unsigned char>(value.back()))) value.pop_back();
    value.erase(0, value.find_first_not_of(" \t"));
    t.answer.headers[name] = value;
  }
  return size * count;
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
  auto& t = *static_cast<Transfer*>(user);
  const std::size_t bytes = size * count, whole = t.answer.body.size() + bytes;
  curl_off_t sent = 0;
  curl_easy_getinfo(t.easy.get(), CURLINFO_SIZE_DOWNLOAD_T, &sent);
  if (t.request.decode && t.answer.headers.count("content-encoding") && whole > (1u << 20) &&
      static_cast<double>(whole) > t.max_expansion * static_cast<double>(std::max<curl_off_t>(sent, 1)))
    t.answer.failure = Failure::bomb;
  else if (whole > t.request.max_bytes)
    t.answer.failure = Failure::too_large;
  else
    t.answer.body.append(data, bytes);
  return t.answer.failure == Failure::none ? bytes : 0;  // 0 ends the transfer
}

Failure classify(CURLcode code) {
  switch (code) {
    case CURLE_OK:
      return Failure::none;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
      return Failure::connect;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return Failure::tls;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_HTTP2_STREAM:
      return Failure::truncated;
    case CURLE_FILESIZE_EXCEEDED:
      return Failure::too_large;
    default:
      return Failure::other;
  }
}

}  // namespace

const char* name_of(Failure failure) {
  static constexpr const char* kNames[] = {"none",    "no connection", "TLS",       "timed out",
                                           "stalled", "truncated",     "too large", "decompression bomb",
                                           "transfer"};
  return kNames[static_cast<int>(failure)];
}

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string host_of(const std::string& url) {
  const Url parsed(curl_url());
  char *scheme = nullptr, *host = nullptr, *port = nullptr;
  std::string name;
  if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) == CURLUE_OK &&
      curl_url_get(parsed.get(), CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
      curl_url_get(parsed.get(), CURLUPART_HOST, &host, 0) == CURLUE_OK) {
    const std::string s = scheme;
    if (s == "http" || s == "https") name = host;
    if (!name.empty() && curl_url_get(parsed.get(), CURLUPART_PORT, &port, 0) == CURLUE_OK)
      name += std::string(":") + port;
  }
  for (char* p : {scheme, host, port}) curl_free(p);
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  return name;
}

bool is_loopback(const std::string& host) {
  const auto is = [&](const std::string& name) { return host == name || host.starts_with(name + ":"); };
  return is("localhost") || is("127.0.0.1") || is("[::1]");
}

struct Client::Impl {
  ClientOptions options;
  Multi multi;
  std::map<CURL*, std::unique_ptr<Transfer>> transfers;

  void set_up(Transfer& t);
  Answer finish(Transfer& t, CURLcode code);
};

Client::Client(const ClientOptions& options) : impl_(std::make_unique<Impl>()) {
  static std::once_flag once;
  std::call_once(once, [] { check(curl_global_init(CURL_GLOBAL_DEFAULT), "starting"); });
  impl_->options = options;
  impl_->multi.reset(curl_multi_init());
  if (!impl_->multi) fail_run("libcurl cannot start");
}

Client::~Client() {
  for (auto& [easy, t] : impl_->transfers) curl_multi_remove_handle(impl_->multi.get(), easy);
}

std::size_t Client::under_way() const {
  return impl_->transfers.size();
}

void Client::Impl::set_up(Transfer& t) {
  CURL* c = t.easy.get();
  const auto set = [&](CURLoption option, auto value) { check(curl_easy_setopt(c, option, value), "setting up"); };
  set(CURLOPT_URL, t.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_SSL_VERIFYPEER, 1L);
  set(CURLOPT_SSL_VERIFYHOST, 2L);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_NETRC, 0L);
  if (!options.ca_file.empty()) set(CURLOPT_CAINFO, options.ca_file.c_str());
  if (!options.proxy.empty()) set(CURLOPT_PROXY, options.proxy.c_str());
  set(CURLOPT_USERAGENT, options.user_agent.c_str());
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_s * 1000));
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(options.total_s * 1000));
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME, std::max(1L, static_cast<long>(options.stall_s)));
  set(CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(t.request.max_bytes));
  if (t.request.decode) set(CURLOPT_ACCEPT_ENCODING, "gzip");
  set(CURLOPT_HEADERFUNCTION, on_header);
  set(CURLOPT_HEADERDATA, &t);
  set(CURLOPT_WRITEFUNCTION, on_body);
  set(CURLOPT_WRITEDATA, &t);
  for (const auto& [name, value] : t.request.headers) {
    curl_slist* longer = curl_slist_append(t.headers.get(), (name + ": " + value).c_str());
    if (!longer) throw std::bad_alloc();
    (void)t.headers.release();
    t.headers.reset(longer);
  }
  if (t.headers) set(CURLOPT_HTTPHEADER, t.headers.get());
  if (t.request.method == "POST") {
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(t.request.body.size()));
    set(CURLOPT_POSTFIELDS, t.request.body.c_str());
  }
}

void Client::start(std::uint64_t id, const Request& request) {
  auto t = std::make_unique<Transfer>();
  t->id = id;
  t->request = request;
  t->url = request.url;
  if (!request.secret_query.empty())
    t->url += (t->url.find('?') == std::string::npos ? "?" : "&") + request.secret_query;
  t->max_expansion = impl_->options.max_expansion;
  t->easy.reset(curl_easy_init());
  if (!t->easy) throw std::bad_alloc();
  impl_->set_up(*t);
  check(curl_multi_add_handle(impl_->multi.get(), t->easy.get()), "starting a request");
  CURL* key = t->easy.get();
  impl_->transfers[key] = std::move(t);
}

Answer Client::Impl::finish(Transfer& t, CURLcode code) {
  Answer& a = t.answer;
  long status = 0;
  curl_easy_getinfo(t.easy.get(), CURLINFO_RESPONSE_CODE, &status);
  a.status = static_cast<int>(status);
  if (a.failure == Failure::none) a.failure = classify(code);
  if (code == CURLE_OPERATION_TIMEDOUT) {
    double took = 0;
    curl_easy_getinfo(t.easy.get(), CURLINFO_TOTAL_TIME, &took);
    curl_off_t connected = 0;
    curl_easy_getinfo(t.easy.get(), CURLINFO_CONNECT_TIME_T, &connected);
    a.failure = connected == 0                    ? Failure::connect
                : took >= options.total_s * 0.999 ? Failure::timeout
                                                  : Failure::stalled;
  }
  if (a.failure != Failure::none) a.what = curl_easy_strerror(code);
  char* location = nullptr;
  if (status >= 300 && status < 400 && curl_easy_getinfo(t.easy.get(), CURLINFO_REDIRECT_URL, &location) == CURLE_OK &&
      location)
    a.location = location;
  if (a.failure != Failure::none || a.answered_at == 0) a.answered_at = now();
  return std::move(a);
}

std::vector<Client::Finished> Client::poll(double seconds) {
  std::vector<Finished> finished;
  const double until = now() + seconds;
  for (;;) {
    int running = 0, left = 0;
    check(curl_multi_perform(impl_->multi.get(), &running), "requests");
    while (const CURLMsg* m = curl_multi_info_read(impl_->multi.get(), &left)) {
      if (m->msg != CURLMSG_DONE) continue;
      const CURLcode code = m->data.result;
      const auto at = impl_->transfers.find(m->easy_handle);
      finished.push_back({at->second->id, impl_->finish(*at->second, code)});
      curl_multi_remove_handle(impl_->multi.get(), at->first);
      impl_->transfers.erase(at);
    }
    const double rest = until - now();
    if (!finished.empty() || rest <= 0) return finished;
    check(curl_multi_poll(impl_->multi.get(), nullptr, 0, std::max(1, static_cast<int>(rest * 1000)), nullptr),
          "waiting");
  }
}

}  // namespace eddy::net
