#include "crawl/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "base/stop_request.h"
#include "base/units.h"
#include "crawl/engine.h"
#include "crawl/result.h"
#include "crawl/seeds.h"
#include "crawl/walk.h"
#include "io/run_lock.h"

namespace eddy::crawl {
namespace fs = std::filesystem;
namespace {

constexpr double kTick = 0.02;  // seconds between two meetings of the ranks

/// Sends one text to every rank and returns those from every rank.
std::vector<std::string> trade(comm::Communicator& world, const std::vector<std::string>& out) {
  const auto ranks = static_cast<std::size_t>(world.size());
  std::vector<std::int64_t> sizes(ranks), sizes_in(ranks);
  std::vector<std::size_t> send(ranks), receive(ranks);
  std::string all, all_in;
  for (std::size_t r = 0; r < ranks; ++r) {
    sizes[r] = static_cast<std::int64_t>(out[r].size());
    send[r] = out[r].size();
    all += out[r];
  }
  world.all_to_all(sizes.data(), sizes_in.data(), 1, Dtype::i64);
  std::size_t total = 0;
  for (std::size_t r = 0; r < ranks; ++r) total += receive[r] = static_cast<std::size_t>(sizes_in[r]);
  all_in.resize(total);
  world.all_to_all_v(all.data(), send, all_in.data(), receive, Dtype::u8);
  std::vector<std::string> in;
  std::size_t at = 0;
  for (const std::size_t n : receive) {
    in.push_back(all_in.substr(at, n));
    at += n;
  }
  return in;
}

// A message: its first line is JSON, the others are records.
nlohmann::json ask_json(const Ask& a) {
  return {a.channel, a.method, a.path, a.body, static_cast<int>(a.form)};
}
Ask ask_of(const nlohmann::json& j) {
  return {j[0], j[1], j[2], j[3], static_cast<Form>(j[4].get<int>())};
}

enum class Order { go_on, stop, end };

/// Rank 0's part: the walk, and what the user sees of it.
class Head {
 public:
  Head(const CrawlOptions& options, const std::vector<Service>& services, std::vector<Paper> seeds,
       const std::string& ini)
      : options_(options),
        services_(services),
        lock_(locked(options), this_process()),
        desk_(Memory(options.out), options.retry_failed),
        walk_(options, services, std::move(seeds), desk_) {
    io::write_file(fs::path(options.out) / "config.ini", ini);
    walk_.start();
    desk_.drain();
  }
  void deliver(const std::string& line) { desk_.deliver(Record::parse(line, "a rank's record")); }
  void think() {
    desk_.drain();
    if (net::now() - shown_ >= options_.progress_s) show();
  }
  bool done() const { return walk_.done(); }
  /// Why the crawl has failed although it went to its end; "" where it has not.
  std::string failure() const;
  std::vector<Ask> take_outgoing() { return desk_.take_outgoing(); }
  void finish(bool finished) {
    show();
    const std::string text = write_results(options_.out, walk_, desk_, finished);
    for (std::size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1)
      log::info("{}", text.substr(at, end - at));
  }

 private:
  static fs::path locked(const CrawlOptions& options) {
    make_store(options.out);
    return fs::path(options.out) / "crawl.lock";
  }
  void show();
  const CrawlOptions& options_;
  const std::vector<Service>& services_;
  io::RunLock lock_;
  Desk desk_;
  Walk walk_;
  double began_ = net::now(), shown_ = net::now();
};

/// level 1, 120 papers · queue 31, done 220, failed 3 (arxiv: not found 2, …) · s2 0.9/s, arxiv 0.3/s · ETA 3m20s
void Head::show() {
  shown_ = net::now();
  std::uint64_t done = 0, failed = 0;
  double eta = 0;
  std::string why, rates;
  for (const auto& [channel, t] : desk_.tallies()) {
    done += t.answered + t.remembered;
    for (const auto& [reason, n] : t.failed) {
      failed += n;
      why += fmt::format("{}{}: {} {}", why.empty() ? " (" : ", ", channel, reason, n);
    }
    const double rate = static_cast<double>(t.answered) / std::max(1e-3, shown_ - began_);
    if (t.answered > 0 && !channel.starts_with("host:"))
      rates += fmt::format("{}{} {:.2g}/s", rates.empty() ? " · " : ", ", channel, rate);
    if (rate > 0) eta = std::max(eta, static_cast<double>(t.asked - t.answered) / rate);
  }
  const std::string left = eta == 0 && desk_.waiting() > 0 ? "unknown" : duration(eta);
  log::info("level {}, {} papers · queue {}, done {}, failed {}{}{}{} · ETA {}", std::max(0, walk_.level() - 1),
            walk_.taken(), desk_.waiting(), done, failed, why, why.empty() ? "" : ")", rates,
            walk_.done() ? "none" : left + (walk_.level() <= options_.depth ? " and further levels" : ""));
}

std::string Head::failure() const {
  constexpr const char* kAgain = "what was given up is asked again with --retry.failed";
  if (const std::string why = desk_.unreachable(); !why.empty())
    return fmt::format(
        "no server could be reached ({}): check the network, net.proxy or https_proxy, and net.ca_file; {}", why,
        kAgain);
  if (walk_.taken() == 0) return "none of the papers or authors to start from was found";
  if (!walk_.any_title())
    return fmt::format("nothing was learnt of any paper to start from: see report.txt in {} for what failed; {}",
                       options_.out, kAgain);
  return "";
}

/// Tells every rank what to ask.
std::vector<std::string> orders(Head& head, Order order, Exit status, const std::vector<Service>& services, int ranks) {
  std::vector<nlohmann::json> asks(static_cast<std::size_t>(ranks), nlohmann::json::array());
  if (order == Order::go_on)
    for (const Ask& a : head.take_outgoing())
      asks[static_cast<std::size_t>(owner_of(a.channel, services, ranks))].push_back(ask_json(a));
  std::vector<std::string> out;
  for (const auto& list : asks)
    out.push_back(
        nlohmann::json{{"order", static_cast<int>(order)}, {"status", static_cast<int>(status)}, {"asks", list}}
            .dump() +
        "\n");
  return out;
}

}  // namespace

int run(comm::Communicator& world, const CrawlOptions& options, const std::string& ini) {
  const std::vector<Service> services = make_services(options);
  std::vector<Paper> seeds = read_seeds(options.from);
  if (const std::string trouble = net::trouble_with(options.net); !trouble.empty()) fail_input("{}", trouble);
  const StopRequest stop;
  std::optional<Head> head;
  if (world.rank() == 0) head.emplace(options, services, std::move(seeds), ini);
  world.barrier();  // the folder is there, its records are repaired and read
  Engine engine(options, services, world.rank());

  std::vector<std::string> out(static_cast<std::size_t>(world.size()));
  Order order = Order::go_on;
  double deadline = 0;
  Exit status = Exit::stopped;
  std::string failure;
  for (;;) {
    if (head) {
      if (order == Order::go_on && head->done()) {
        order = Order::end;
        failure = head->failure();
        status = failure.empty() ? Exit::done : Exit::failed;
      }
      out = orders(*head, order, status, services, world.size());
    }
    const auto said = trade(world, out);
    const auto told = nlohmann::json::parse(said[0].substr(0, said[0].find('\n')));
    order = static_cast<Order>(told["order"].get<int>());
    status = static_cast<Exit>(told["status"].get<int>());
    if (order == Order::end) break;
    if (order == Order::stop && deadline == 0) {
      engine.stop();
      deadline = net::now() + options.stop_s;
    }
    for (const auto& a : told["asks"]) engine.take(ask_of(a));

    const std::vector<std::string> lines = engine.work(kTick);
    const bool wait = engine.under_way() && (deadline == 0 || net::now() < deadline);
    std::vector<std::string> report(static_cast<std::size_t>(world.size()));
    report[0] = nlohmann::json{{"stop", stop.reason()}, {"wait", wait}}.dump() + "\n";
    for (const std::string& line : lines) report[0] += line;
    const auto reports = trade(world, report);
    if (!head) continue;
    bool waiting = false;
    for (const std::string& text : reports) {
      std::size_t at = text.find('\n');
      const auto state = nlohmann::json::parse(text.substr(0, at));
      for (std::size_t end; (end = text.find('\n', ++at)) != std::string::npos; at = end)
        head->deliver(text.substr(at, end - at));
      waiting = waiting || state["wait"].get<bool>();
      const std::string reason = state["stop"];
      if (!reason.empty() && order == Order::go_on) {
        log::info("{}: stops; transfers under way have {} to end", reason, duration(options.stop_s));
        order = Order::stop;
      }
    }
    head->think();
    if (order == Order::stop && deadline > 0 && !waiting) order = Order::end;
  }
  if (head) head->finish(status != Exit::stopped);
  if (!failure.empty()) log::error("{}", failure);
  world.barrier();
  return static_cast<int>(status);
}

}  // namespace eddy::crawl
