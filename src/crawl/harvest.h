#pragma once
// What is fetched of the papers taken: further metadata, licences, and the papers themselves. Runs beside the walk and
// does not influence it.
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crawl/desk.h"
#include "crawl/options.h"
#include "crawl/works.h"

namespace eddy::crawl {

/// A paper taken, as far as it is known here.
struct Item {
  std::size_t entry = 0;  ///< in the catalogue
  Paper base, extra;      ///< as the walk knew it; what was asked for since
  std::vector<Ask> downloads;
  std::vector<std::string> licences;  ///< of the downloads, one each
  std::optional<Payload> payload;
  std::string payload_licence;
  std::string reason;  ///< why there is no payload
  Paper known() const;
};

/// Levels are enriched as they come, side by side; payloads are fetched level after level, in rounds: every paper's
/// first choice, then the second of those that failed. The order on each channel, and with it every place in the tar
/// files, thus depends on the answers alone, not on when they came.
class Harvest {
 public:
  Harvest(const CrawlOptions& options, const std::vector<Service>& services, Desk& desk, Works& works);
  void add_level(const std::vector<std::pair<std::size_t, Paper>>& papers);
  bool done() const { return levels_.size() == finished_; }
  /// In the order of levels and of their papers.
  std::vector<const Item*> items() const;

 private:
  struct Level {
    std::vector<Item> items;
    bool enriched = false;
    std::size_t wave = 0, round = 0;
  };
  bool uses(const char* service) const;
  void enrich(Level& level);
  void ask_arxiv(Level& level, std::vector<std::size_t> items, std::shared_ptr<Countdown> rest);
  void plan(Item& item) const;
  void fetch();  // goes on with the first level that is not finished
  void fetch_round(Level& level);
  void end_wave(Level& level);
  std::size_t wave_end(const Level& level) const;

  const CrawlOptions& options_;
  const std::vector<Service>& services_;
  Desk& desk_;
  Works& works_;
  std::deque<std::unique_ptr<Level>> levels_;
  std::size_t finished_ = 0;
  bool fetching_ = false;
  std::uint64_t spent_ = 0;  // bytes of payloads kept
  bool exhausted_ = false;
};

}  // namespace eddy::crawl
