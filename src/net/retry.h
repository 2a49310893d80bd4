#pragma once
// When to ask again, and after how long. Pure functions.
#include <optional>
#include <string>

#include "net/message.h"

namespace eddy::net {

struct RetryRules {
  int attempts = 8;          ///< a request, all in all
  double base_s = 2;         ///< wait after the first failure; doubles with each
  double longest_s = 120;    ///< where the server does not say how long
  double patience_s = 3600;  ///< a longer Retry-After ends the request instead
};

/// Seconds that a Retry-After header asks for, from `now` (seconds since 1970): "120", or an HTTP date; never below 0.
/// Nothing for text that is neither.
std::optional<double> retry_after(const std::string& header, double now);

/// Seconds before attempt number `attempt` + 1 (the first is 1): base · 2^(attempt-1), at most `longest_s`, times a
/// number between 0.5 and 1 drawn from (seed, attempt), so that many clients do not come back at one time.
double backoff(const RetryRules& rules, int attempt, std::uint64_t seed);

enum class Verdict { good, redirect, again, give_up };
struct Judgement {
  Verdict verdict;
  std::string reason;  ///< for `again` and `give_up`: short, the same whenever it happens ("HTTP 503", "stalled")
};
/// What an answer means by itself, whatever its body: 2xx is good; no connection, 408, 425, 429, 5xx and transfers cut
/// off are worth another attempt; other statuses, answers that are too large and bombs are not.
Judgement judge(const Answer& answer);

}  // namespace eddy::net
