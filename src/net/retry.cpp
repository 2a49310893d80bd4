#include "net/retry.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/rng.h"

namespace eddy::net {

std::optional<double> retry_after(const std::string& header, double now) {
  if (header.empty()) return std::nullopt;
  char* end = nullptr;
  const double seconds = std::strtod(header.c_str(), &end);
  if (*end == 0 && std::isfinite(seconds)) return std::max(0.0, seconds);
  const time_t when = curl_getdate(header.c_str(), nullptr);
  if (when == -1) return std::nullopt;
  return std::max(0.0, static_cast<double>(when) - now);
}

double backoff(const RetryRules& rules, int attempt, std::uint64_t seed) {
  const double whole = std::min(rules.longest_s, rules.base_s * std::pow(2.0, std::max(0, attempt - 1)));
  return whole * (0.5 + 0.5 * uniform01(philox(seed, static_cast<std::uint64_t>(attempt))[0]));
}

Judgement judge(const Answer& a) {
  switch (a.failure) {
    case Failure::none:
      break;
    case Failure::too_large:
    case Failure::bomb:
    case Failure::tls:
      return {Verdict::give_up, name_of(a.failure)};
    default:
      return {Verdict::again, name_of(a.failure)};
  }
  if (a.status >= 200 && a.status < 300) return {Verdict::good, ""};
  const std::string text = a.status == 404 || a.status == 410 ? "not found" : fmt::format("HTTP {}", a.status);
  if (a.status == 301 || a.status == 302 || a.status == 303 || a.status == 307 || a.status == 308)
    return a.location.empty() ? Judgement{Verdict::give_up, "redirect without a target"}
                              : Judgement{Verdict::redirect, text};
  if (a.status == 408 || a.status == 425 || a.status == 429 || a.status >= 500) return {Verdict::again, text};
  return {Verdict::give_up, text};
}

}  // namespace eddy::net
