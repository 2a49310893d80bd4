#pragma once
// What one rank asks: the channels it owns, their transfers, and the records of their answers.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "crawl/ask.h"
#include "crawl/options.h"
#include "crawl/store.h"
#include "net/channel.h"
#include "net/client.h"

namespace eddy::crawl {

/// The rank that owns a channel: service i belongs to rank i modulo `ranks`, other hosts by the hash of their name. A
/// pure function, so that no two ranks ever talk to one service.
int owner_of(const std::string& channel, const std::vector<Service>& services, int ranks);

class Engine {
 public:
  Engine(const CrawlOptions& options, std::vector<Service> services, int rank);
  ~Engine();
  /// Takes a question of a channel of this rank's.
  void take(const Ask& ask);
  /// Asks and commits for about this long. Returns the committed records' lines.
  std::vector<std::string> work(double seconds);
  /// Nothing new is sent from now on; what is under way may end.
  void stop();
  bool under_way() const { return client_.under_way() > 0; }

 private:
  struct Line;  // one channel and what it waits for
  Line& line_of(const std::string& channel);
  net::Request request_of(const Ask& ask, const Line& line) const;
  net::Judgement examine(const Ask& ask, const net::Answer& answer, int& empty_feeds) const;
  std::string commit(const Ask& ask, const net::Outcome& outcome);
  static void tell_once(Line& line, const net::Answer& answer);

  const CrawlOptions& options_;
  std::vector<Service> services_;
  net::Client client_;
  Writer writer_;
  std::vector<std::unique_ptr<Line>> lines_;  // a transfer's id is its line's place here: one at a time a line
  std::map<std::string, std::size_t> places_;
  std::map<std::uint64_t, Ask> asks_;
  std::uint64_t next_ = 1;
  bool stopping_ = false;
};

}  // namespace eddy::crawl
