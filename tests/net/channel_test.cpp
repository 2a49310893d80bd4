// Rates, retries, redirects: by a clock of the test's own.
#include "net/channel.h"

#include "catch.h"
#include "net/client.h"
#include "support.h"

using namespace eddy;
using net::Answer;
using net::Channel;
using net::Judgement;
using net::Outcome;
using net::Verdict;

namespace {

Answer status(int code, std::map<std::string, std::string> headers = {}, double at = 0) {
  Answer a;
  a.status = code;
  a.headers = std::move(headers);
  a.answered_at = at;
  return a;
}
Answer redirect(const std::string& to, double at = 0) {
  Answer a = status(302, {}, at);
  a.location = to;
  return a;
}
net::Job job(std::uint64_t id, const std::string& url) {
  net::Job j;
  j.id = id;
  j.request.url = url;
  return j;
}

struct Fixture {
  eddy_test::TempDir dir;
  net::ChannelOptions options{"x", {}, 3, {"other.org"}, {403}};
  Channel channel(double interval = 3, double now = 1000) {
    return Channel(options, net::Pace(dir / "x.pace", interval, 0, now));
  }
};

}  // namespace

TEST_CASE("Retry-After in seconds and as a date") {
  CHECK(net::retry_after("120", 0) == 120.0);
  CHECK(net::retry_after("-5", 0) == 0.0);
  CHECK(net::retry_after("Thu, 01 Jan 1970 00:02:00 GMT", 20) == 100.0);
  CHECK(net::retry_after("Thu, 01 Jan 1970 00:02:00 GMT", 500) == 0.0);
  CHECK_FALSE(net::retry_after("", 0));
  CHECK_FALSE(net::retry_after("soon", 0));
  CHECK_FALSE(net::retry_after("inf", 0));
}

TEST_CASE("backoff doubles, has a longest wait, and differs between requests") {
  const net::RetryRules rules{6, 2, 60, 3600};
  for (int attempt = 1; attempt < 12; ++attempt)
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
      const double whole = std::min(60.0, 2.0 * (1 << (attempt - 1))), wait = net::backoff(rules, attempt, seed);
      CHECK(wait >= whole / 2);
      CHECK(wait <= whole);
    }
  CHECK(net::backoff(rules, 3, 1) != net::backoff(rules, 3, 2));
}

TEST_CASE("what answers mean") {
  CHECK(net::judge(status(200)).verdict == Verdict::good);
  for (const int code : {408, 429, 500, 502, 503, 504}) CHECK(net::judge(status(code)).verdict == Verdict::again);
  for (const int code : {400, 401, 403, 404, 410, 418, 304})
    CHECK(net::judge(status(code)).verdict == Verdict::give_up);
  CHECK(net::judge(status(404)).reason == "not found");
  CHECK(net::judge(status(302)).reason == "redirect without a target");
  CHECK(net::judge(redirect("http://a/b")).verdict == Verdict::redirect);
  for (const auto& [failure, verdict] : {std::pair{net::Failure::stalled, Verdict::again},
                                         {net::Failure::truncated, Verdict::again},
                                         {net::Failure::connect, Verdict::again},
                                         {net::Failure::too_large, Verdict::give_up},
                                         {net::Failure::bomb, Verdict::give_up},
                                         {net::Failure::tls, Verdict::give_up}}) {
    Answer a;
    a.failure = failure;
    CHECK(net::judge(a).verdict == verdict);
  }
}

TEST_CASE_METHOD(Fixture, "one request at a time, an interval after the first byte of the answer before") {
  Channel c = channel();
  CHECK_FALSE(c.next_at(1000));
  c.push(job(1, "http://a.org/1"));
  c.push(job(2, "http://a.org/2"));
  REQUIRE(c.next_at(1000));
  CHECK(*c.next_at(1000) <= 1000);
  CHECK(c.send(1000).url == "http://a.org/1");
  CHECK_FALSE(c.next_at(1000));
  const auto outcome = c.receive(status(200, {}, 1001.5), 1002);
  REQUIRE(outcome);
  CHECK(outcome->good);
  CHECK(outcome->id == 1);
  CHECK(*c.next_at(1002) == approx(1004.5));
  CHECK(c.send(1004.5).url == "http://a.org/2");

  SECTION("a process killed meanwhile leaves a time that the next one keeps to") {
    Channel next = channel(3, 1005);  // that request may have arrived at any time up to now
    next.push(job(2, "http://a.org/2"));
    CHECK(*next.next_at(1005) == approx(1008));
  }
  SECTION("one that was not interrupted, too") {
    c.receive(status(200, {}, 1005), 1005);
    Channel next = channel(3, 1006);
    next.push(job(3, "http://a.org/3"));
    CHECK(*next.next_at(1006) == approx(1008));
    CHECK(*next.next_at(10) <= 13);  // a clock set back does not stop the crawl
  }
}

TEST_CASE_METHOD(Fixture, "a service that tells its rate is believed, down to the floor") {
  Channel c(options, net::Pace(dir / "y.pace", 1, 0.05, 0));
  c.push(job(1, "http://a.org/1"));
  c.send(10);
  c.receive(status(200, {{"x-rate-limit-limit", "10"}, {"x-rate-limit-interval", "1s"}}, 10), 10);
  CHECK(c.pace().interval() == approx(0.1));
  c.push(job(2, "http://a.org/2"));
  c.send(11);
  c.receive(status(200, {{"x-rate-limit-limit", "1000"}, {"x-rate-limit-interval", "1s"}}, 11), 11);
  CHECK(c.pace().interval() == approx(0.05));
  for (const char* nonsense : {"0", "-3", "many", "nan"}) {
    c.push(job(3, "http://a.org/3"));
    c.send(20);
    c.receive(status(200, {{"x-rate-limit-limit", nonsense}, {"x-rate-limit-interval", "1s"}}, 20), 20);
    CHECK(c.pace().interval() == approx(0.05));
  }
}

TEST_CASE_METHOD(Fixture, "Retry-After holds the whole channel back; without it the wait grows") {
  Channel c = channel(1);
  c.push(job(1, "http://a.org/1"));
  c.send(1000);
  CHECK_FALSE(c.receive(status(429, {{"retry-after", "30"}}, 1000), 1000));
  CHECK(*c.next_at(1000) == approx(1030));
  CHECK(Channel(options, net::Pace(dir / "x.pace", 1, 0, 1001)).pace().next_at(1001) ==
        approx(1030));  // in later runs too
  c.send(1030);
  CHECK_FALSE(c.receive(status(429, {}, 1030), 1030));
  CHECK(*c.next_at(1030) >= 1032);  // the second wait: 4 s, of which at least half
  CHECK(*c.next_at(1030) <= 1034);
  c.send(1040);
  const auto outcome = c.receive(status(503, {{"retry-after", "86400"}}, 1040), 1040);
  REQUIRE(outcome);
  CHECK(outcome->reason == "HTTP 503, asked to wait too long");
}

TEST_CASE_METHOD(Fixture, "attempts are bounded, and answers are looked at") {
  Channel c = channel(0);
  net::Job j = job(1, "http://a.org/1");
  j.examine = [](const Answer& a) {
    return a.body == "good" ? Judgement{Verdict::good, ""} : Judgement{Verdict::again, "not JSON"};
  };
  c.push(j);
  std::optional<Outcome> outcome;
  double t = 1000;
  int sent = 0;
  while (!outcome) {
    t = std::max(t, *c.next_at(t));
    c.send(t);
    ++sent;
    Answer a = status(200, {}, t);
    a.body = "<html>";
    outcome = c.receive(a, t);
  }
  CHECK(sent == 8);
  CHECK(outcome->attempts == 8);
  CHECK_FALSE(outcome->good);
  CHECK(outcome->reason == "not JSON");
}

TEST_CASE_METHOD(Fixture, "a service's own word for later is understood") {
  Channel c = channel(0);
  c.push(job(1, "http://a.org/1"));
  c.send(1000);
  CHECK_FALSE(c.receive(status(403, {}, 1000), 1000));
  c.send(2000);
  CHECK(c.receive(status(401, {}, 2000), 2000)->reason == "HTTP 401");
}

TEST_CASE_METHOD(Fixture, "redirects: paced, bounded, never in circles, never with a key to another host") {
  Channel c = channel(3);
  net::Job j = job(1, "https://a.org/1");
  j.request.secret_query = "api_key=K";
  j.request.headers = {{"x-api-key", "K"}, {"Accept", "*/*"}};
  c.push(j);
  c.send(1000);
  const auto reason_of = [&](const Answer& answer) {
    const auto outcome = c.receive(answer, 1000);
    return outcome ? outcome->reason : "goes on";
  };
  SECTION("within the host, keys go along and the URL that is shown has none") {
    CHECK(reason_of(redirect("https://a.org/2?x=1&api_key=K", 1000)) == "goes on");
    CHECK(*c.next_at(1000) == approx(1003));
    const net::Request& next = c.send(1003);
    CHECK(next.url == "https://a.org/2?x=1");
    CHECK(next.secret_query == "api_key=K");
    CHECK(next.headers.size() == 2);
    const auto outcome = c.receive(status(200, {}, 1003), 1003);
    REQUIRE(outcome);
    CHECK(outcome->url == "https://a.org/2?x=1");
    CHECK(outcome->attempts == 1);
  }
  SECTION("to another host without them") {
    CHECK(reason_of(redirect("https://b.org/2", 1000)) == "goes on");
    const net::Request& next = c.send(1003);
    CHECK(next.secret_query.empty());
    REQUIRE(next.headers.size() == 1);
    CHECK(next.headers[0].first == "Accept");
  }
  SECTION("refused") {
    CHECK(reason_of(redirect("https://other.org/2")) == "redirect to a service of another channel");
  }
  SECTION("refused: out of TLS") {
    CHECK(reason_of(redirect("http://a.org/2")) == "redirect from https to http");
  }
  SECTION("refused: no web address") {
    CHECK(reason_of(redirect("file:///etc/passwd")) == "redirect to what is no http URL");
  }
  SECTION("a circle") {
    CHECK(reason_of(redirect("https://a.org/2")) == "goes on");
    c.send(1010);
    CHECK(reason_of(redirect("https://a.org/1")) == "redirects in a loop");
  }
  SECTION("too many") {
    for (int i = 2; i <= 4; ++i) {
      CHECK(reason_of(redirect("https://a.org/" + std::to_string(i))) == "goes on");
      c.send(1000 + 10 * i);
    }
    CHECK(reason_of(redirect("https://a.org/5")) == "too many redirects");
  }
}
