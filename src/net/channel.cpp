#include "net/channel.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/hash.h"
#include "net/client.h"

namespace eddy::net {

std::optional<double> Channel::next_at(double now) const {
  if (under_way_ || jobs_.empty()) return std::nullopt;
  return std::max(pace_.next_at(now), not_before_);
}

const Request& Channel::send(double now) {
  under_way_ = true;
  pace_.sent(now);
  if (hop_) return *hop_;
  ++attempts_;
  seen_ = {jobs_.front().request.url};
  return jobs_.front().request;
}

void Channel::forget_waiting() {
  if (jobs_.size() > 1 || !under_way_) jobs_.erase(jobs_.begin() + (under_way_ ? 1 : 0), jobs_.end());
}

/// Crossref tells its rate: x-rate-limit-limit requests in x-rate-limit-interval ("1s").
void Channel::obey_rate_headers(const Answer& a) {
  const auto limit = a.headers.find("x-rate-limit-limit"), interval = a.headers.find("x-rate-limit-interval");
  if (limit == a.headers.end() || interval == a.headers.end()) return;
  const double n = std::atof(limit->second.c_str()), s = std::atof(interval->second.c_str());
  if (n >= 1 && s > 0 && std::isfinite(n) && std::isfinite(s)) pace_.set_interval(s / n);
}

Outcome Channel::end(bool good, const std::string& reason, Answer answer) {
  Outcome o{jobs_.front().id, good, reason, attempts_, std::move(answer), hop_ ? hop_->url : jobs_.front().request.url};
  jobs_.pop_front();
  attempts_ = 0;
  not_before_ = 0;
  hop_.reset();
  return o;
}

std::optional<Outcome> Channel::again(const Judgement& judgement, const Answer& answer, double now) {
  hop_.reset();  // from its first URL on
  const auto header = answer.headers.find("retry-after");
  const auto asked = header == answer.headers.end() ? std::nullopt : retry_after(header->second, now);
  if (asked && *asked > options_.retry.patience_s)
    return end(false, judgement.reason + ", asked to wait too long", answer);
  if (attempts_ >= options_.retry.attempts) return end(false, judgement.reason, answer);
  const double wait = backoff(options_.retry, attempts_, xxh3(jobs_.front().request.url));
  if (asked) pace_.hold_until(now + *asked);
  not_before_ = now + std::max(wait, asked.value_or(0));
  return std::nullopt;
}

std::optional<Outcome> Channel::follow(const Answer& answer) {
  const Request& from = hop_ ? *hop_ : jobs_.front().request;
  const std::string host = host_of(answer.location), before = host_of(from.url);
  if (host.empty()) return end(false, "redirect to what is no http URL", answer);
  if (from.url.starts_with("https:") && !answer.location.starts_with("https:"))
    return end(false, "redirect from https to http", answer);
  if (host != before && std::count(options_.foreign_hosts.begin(), options_.foreign_hosts.end(), host))
    return end(false, "redirect to a service of another channel", answer);
  // The URL may repeat what was sent in secret: it is shown, so it goes.
  std::string url = answer.location;
  if (!from.secret_query.empty())
    if (const auto at = url.find(from.secret_query); at != std::string::npos) {
      url.erase(at, from.secret_query.size());
      if (!url.empty() && (url.back() == '?' || url.back() == '&')) url.pop_back();
    }
  if (!seen_.insert(url).second) return end(false, "redirects in a loop", answer);
  if (static_cast<int>(seen_.size()) > options_.max_redirects + 1) return end(false, "too many redirects", answer);
  Request next = from;
  next.url = url;
  if (answer.status == 303) {
    next.method = "GET";
    next.body.clear();
  }
  if (host != before) {  // keys stay with the host they belong to
    next.secret_query.clear();
    std::erase_if(next.headers, [](const auto& h) { return h.first == "x-api-key" || h.first == "Authorization"; });
  }
  hop_ = std::move(next);
  not_before_ = 0;
  return std::nullopt;
}

std::optional<Outcome> Channel::receive(Answer answer, double now) {
  under_way_ = false;
  pace_.answered(answer.answered_at);
  obey_rate_headers(answer);
  Judgement judgement = judge(answer);
  if (judgement.verdict == Verdict::give_up && options_.busy_statuses.count(answer.status))
    judgement.verdict = Verdict::again;
  if (judgement.verdict == Verdict::good && jobs_.front().examine) judgement = jobs_.front().examine(answer);
  switch (judgement.verdict) {
    case Verdict::redirect:
      return follow(answer);
    case Verdict::again:
      return again(judgement, answer, now);
    case Verdict::give_up:
      return end(false, judgement.reason, std::move(answer));
    case Verdict::good:
      break;
  }
  return end(true, "", std::move(answer));
}

}  // namespace eddy::net
