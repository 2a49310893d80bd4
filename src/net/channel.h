#pragma once
// One service's requests, one after the other: paced, tried again, redirects followed. Knows neither sockets nor the
// clock: whoever drives it (engine.h in crawl) tells it the time and the answers.
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "net/message.h"
#include "net/pace.h"
#include "net/retry.h"

namespace eddy::net {

struct ChannelOptions {
  std::string name;
  RetryRules retry;
  int max_redirects = 5;
  std::vector<std::string> foreign_hosts;  ///< hosts with a channel of their own: a redirect to one is refused
  std::set<int> busy_statuses{};           ///< further statuses by which this service says "later"
};

/// A request with what makes its answer a good one.
struct Job {
  std::uint64_t id = 0;
  Request request;
  /// Looks at the body of a 2xx answer: good, worth another attempt ("not JSON"), or hopeless.
  std::function<Judgement(const Answer&)> examine;
};

struct Outcome {
  std::uint64_t id = 0;
  bool good = false;
  std::string reason;  ///< why not
  int attempts = 0;
  Answer answer;
  std::string url;  ///< that answered, after redirects
};

class Channel {
 public:
  Channel(ChannelOptions options, Pace pace) : options_(std::move(options)), pace_(std::move(pace)) {}

  void push(Job job) { jobs_.push_back(std::move(job)); }
  /// When the next request can be sent; nothing while one is under way or none waits.
  std::optional<double> next_at(double now) const;
  /// The request to send now; the caller sends it.
  const Request& send(double now);
  /// The answer to it. An outcome once the job is over: answered, given up, or out of attempts.
  std::optional<Outcome> receive(Answer answer, double now);
  std::size_t waiting() const { return jobs_.size(); }
  bool under_way() const { return under_way_; }
  void forget_waiting();  ///< drops what is not under way
  const Pace& pace() const { return pace_; }
  const std::string& name() const { return options_.name; }

 private:
  std::optional<Outcome> again(const Judgement& judgement, const Answer& answer, double now);
  std::optional<Outcome> follow(const Answer& answer);
  Outcome end(bool good, const std::string& reason, Answer answer);
  void obey_rate_headers(const Answer& answer);

  ChannelOptions options_;
  Pace pace_;
  std::deque<Job> jobs_;
  bool under_way_ = false;
  int attempts_ = 0;            // of the first job
  double not_before_ = 0;       // its next attempt
  std::optional<Request> hop_;  // where a redirect has led it
  std::set<std::string> seen_;  // URLs of its redirects
};

}  // namespace eddy::net
