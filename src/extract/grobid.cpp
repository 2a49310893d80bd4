#include "extract/grobid.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/units.h"
#include "extract/tei.h"
#include "net/client.h"
#include "net/retry.h"

namespace eddy::extract {
namespace {

using net::Failure;
using std::string;
using std::string_view;

constexpr double kAliveSeconds = 10;  // for an answer that costs a server nothing
constexpr int kAliveAttempts = 3;

/// The document as a form's file, beside the parameters: nothing looked up at other services, so that the answer is
/// GROBID's alone.
net::Request form_of(string_view pdf, const GrobidOptions& o) {
  string boundary = "eddy-" + hex64(xxh3(pdf));
  while (pdf.find(boundary) != string_view::npos) boundary += 'x';
  net::Request r;
  r.method = "POST";
  r.url = o.url + "/api/processFulltextDocument";
  r.max_bytes = o.answer_bytes;
  r.headers = {{"Content-Type", "multipart/form-data; boundary=" + boundary},
               {"Accept", "application/xml"},
               {"Expect", ""}};  // libcurl would wait for a 100 before it sends
  r.body.reserve(pdf.size() + 1024);
  for (const char* name : {"consolidateHeader", "consolidateCitations", "consolidateFunders"})
    r.body += fmt::format("--{}\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n0\r\n", boundary, name);
  r.body += fmt::format(
      "--{}\r\nContent-Disposition: form-data; name=\"input\"; filename=\"paper.pdf\"\r\nContent-Type: "
      "application/pdf\r\n\r\n",
      boundary);
  r.body += pdf;
  r.body += "\r\n--" + boundary + "--\r\n";
  return r;
}

/// What an answer without a good article says.
struct Meaning {
  enum { document, server, later } of = document;
  int attempts = 1;  ///< for `document`: so many like it are enough
  string reason;
};
Meaning meaning_of(const net::Answer& a) {
  switch (a.failure) {
    case Failure::none:
      break;
    case Failure::connect:
      return {Meaning::later, 0, "no connection"};
    case Failure::tls:
      return {Meaning::server, 0, "TLS: " + a.what};
    case Failure::timeout:
    case Failure::stalled:
      return {Meaning::document, 1, "GROBID: takes too long"};
    case Failure::too_large:
    case Failure::bomb:
      return {Meaning::document, 1, "GROBID: answer too large"};
    default:
      return {Meaning::document, 3, "GROBID: connection cut"};
  }
  const string status = fmt::format("HTTP {}", a.status);
  switch (a.status) {
    case 429:
    case 502:  // a proxy's, whose server is away
    case 503:
    case 504:
      return {Meaning::later, 0, status};
    case 204:
      return {Meaning::document, 1, "GROBID: found nothing"};
    case 400:
    case 413:
    case 415:
    case 422:
      return {Meaning::document, 1, "GROBID: " + status};
    default:
      if (a.status >= 500) return {Meaning::document, 2, "GROBID: " + status};
      if (a.status >= 300) return {Meaning::server, 0, status + (a.location.empty() ? "" : ", to " + a.location)};
      return {Meaning::document, 2, "GROBID: not TEI"};
  }
}

string trimmed(string s) {
  s.erase(0, std::min(s.size(), s.find_first_not_of(" \t\r\n\"")));
  while (!s.empty() && string_view(" \t\r\n\"").find(s.back()) != string_view::npos) s.pop_back();
  return s;
}

}  // namespace

GrobidOptions::GrobidOptions() = default;

Grobid::Grobid(const GrobidOptions& options, const std::atomic<bool>* stop) : options_(options), stop_(stop) {
  while (options_.url.ends_with('/')) options_.url.pop_back();
  if (net::host_of(options_.url).empty() || options_.url.find("://") == string::npos)
    fail_input("extract.grobid = '{}' is no http or https URL; give the server's, such as http://localhost:8070",
               options.url);
  if (options_.url.find('@') != string::npos)
    fail_input("extract.grobid: a password in the URL would be shown by ps and kept in the report; give it without");
}

void Grobid::check_stop() const {
  if (stop_ && *stop_) throw Error(Exit::stopped, "stopped as asked while GROBID was waited for");
}

void Grobid::wait(double seconds) const {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (std::chrono::steady_clock::now() < end) {
    check_stop();
    std::this_thread::sleep_for(std::min<std::chrono::duration<double>>(std::chrono::milliseconds(100),
                                                                        end - std::chrono::steady_clock::now()));
  }
}

net::Answer Grobid::ask(const net::Request& request, double seconds) {
  net::ClientOptions o;
  o.user_agent = "eddy-shard/" EDDY_VERSION;
  o.connect_s = std::min(30.0, seconds);
  o.stall_s = seconds;  // it sends nothing until it has all
  o.total_s = seconds;
  net::Client client(o);
  client.start(0, request);
  for (;;) {
    check_stop();
    if (auto finished = client.poll(0.1); !finished.empty()) return std::move(finished.front().answer);
  }
}

string Grobid::version() {
  net::Request r;
  r.url = options_.url + "/api/isalive";
  r.max_bytes = 1 << 20;
  for (int attempt = 1;; ++attempt) {
    const net::Answer a = ask(r, kAliveSeconds);
    if (a.failure == Failure::none && a.status == 200 && trimmed(a.body) == "true") break;
    const Meaning m = meaning_of(a);
    if (attempt < kAliveAttempts && (m.of == Meaning::later || a.failure != Failure::none)) {
      wait(options_.first_wait_s / 4);
      continue;
    }
    if (a.failure != Failure::none)
      fail_input("extract.grobid = {}: no server answers there ({}: {}); start it, or correct the URL", options_.url,
                 net::name_of(a.failure), a.what);
    if (m.of == Meaning::later)
      fail_input("extract.grobid = {}: the server is not ready ({}); start again when it is", options_.url, m.reason);
    fail_input("extract.grobid = {}: what answers there is no GROBID (HTTP {} and not 'true' at /api/isalive)",
               options_.url, a.status);
  }
  r.url = options_.url + "/api/version";
  const net::Answer a = ask(r, kAliveSeconds);
  if (a.failure != Failure::none || a.status != 200) return "unknown";
  const auto j = nlohmann::json::parse(a.body, nullptr, false);
  string version =
      j.is_object() && j.contains("version") && j["version"].is_string() ? j["version"].get<string>() : trimmed(a.body);
  const bool plain = std::all_of(version.begin(), version.end(), [](char c) { return c > ' ' && c < 127; });
  return version.empty() || version.size() > 40 || !plain ? "unknown" : version;
}

ArticleOutcome Grobid::read(string_view pdf) {
  if (pdf.size() > options_.pdf_bytes)
    return {.outcome = Outcome::reject("GROBID: PDF too large for it", bytes_text(static_cast<double>(pdf.size())))};
  const net::Request request = form_of(pdf, options_);
  const net::RetryRules rules{.base_s = options_.first_wait_s, .longest_s = options_.longest_wait_s};
  int failed = 0, busy = 0;
  double away_since = 0;
  for (;;) {
    const net::Answer a = ask(request, options_.seconds);
    ArticleOutcome read;
    if (a.failure == Failure::none && a.status == 200) {
      read = article_of_tei(a.body);
      if (!read.outcome.rejected()) return read;
    }
    Meaning m = meaning_of(a);
    if (read.outcome.rejected()) m.reason = "GROBID: " + read.outcome.reason;
    if (m.of == Meaning::server)
      fail_run("the GROBID server at {} does not take documents: {}; what was done is kept, start again when it does",
               options_.url, m.reason);
    if (m.of == Meaning::document) {
      if (++failed >= m.attempts) return {.outcome = Outcome::reject(m.reason, read.outcome.detail)};
      busy = 0;
    } else if (busy > 0 && net::now() - away_since >= options_.patience_s) {
      fail_run(
          "the GROBID server at {} has been busy or gone for {} ({}); what was done is kept, the same command goes on "
          "from there when it answers again (fewer ranks, or more of its engines, where it is busy)",
          options_.url, duration(net::now() - away_since), m.reason);
    }
    if (m.of == Meaning::later && busy++ == 0) {
      away_since = net::now();
      log::warning("the GROBID server at {} is busy or gone ({}): it is waited for, up to {}", options_.url, m.reason,
                   duration(options_.patience_s));
    }
    const auto header = a.headers.find("retry-after");
    const double asked = header == a.headers.end() ? 0 : net::retry_after(header->second, net::now()).value_or(0);
    const double left = m.of == Meaning::later ? away_since + options_.patience_s - net::now() : options_.patience_s;
    const double pause = std::max(asked, net::backoff(rules, m.of == Meaning::later ? busy : failed, xxh3(pdf)));
    wait(std::min(pause, std::max(left, 0.0)));
  }
}

}  // namespace eddy::extract
