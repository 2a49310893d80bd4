#pragma once
// The walk over the citation graph, level by level: a level's papers are chosen when every answer about the one before
// is there, in an order that does not depend on when the answers came.
#include <memory>
#include <string>
#include <vector>

#include "crawl/catalogue.h"
#include "crawl/desk.h"
#include "crawl/harvest.h"
#include "crawl/options.h"
#include "crawl/score.h"

namespace eddy::crawl {

class Walk {
 public:
  Walk(const CrawlOptions& options, const std::vector<Service>& services, std::vector<Paper> seeds, Desk& desk);
  void start();
  bool done() const { return finished_ && harvest_.done(); }
  int level() const { return static_cast<int>(levels_.size()); }  ///< levels chosen so far
  std::size_t taken() const { return taken_; }
  bool any_title() const;  ///< of the papers taken, as far as is known
  const Catalogue& catalogue() const { return catalogue_; }
  const Harvest& harvest() const { return harvest_; }
  std::uint64_t unnamed() const { return unnamed_; }  ///< references without any id: they cannot be followed
  const std::vector<std::string>& seeds_not_found() const { return not_found_; }

 private:
  struct Found {  // what one question brought
    std::vector<Paper> papers;
    int unnamed = 0;
    bool ok = true;
  };
  using Slots = std::shared_ptr<std::vector<Found>>;
  void ask_author(const std::string& author, Slots slots, std::size_t slot, std::shared_ptr<Countdown> rest);
  void read_pages(std::function<Ask(int)> page, int offset, Slots slots, std::size_t slot,
                  std::shared_ptr<Countdown> rest);
  void describe_seeds(std::vector<Paper> papers);
  void begin(const std::vector<Paper>& papers);
  void expand();
  void ask_crossref_instead(std::size_t entry, Slots slots, std::size_t slot, std::shared_ptr<Countdown> rest);
  void merge(const std::vector<Found>& found);
  void choose(std::vector<std::size_t> candidates);
  std::string unwanted(const Entry& entry) const;
  void take_level(const std::vector<std::size_t>& entries);
  /// Asks for descriptions in batches; `then` gets them in the papers' order.
  void describe(const std::vector<Paper>& papers, std::function<void(std::vector<std::optional<Paper>>)> then);

  const CrawlOptions& options_;
  const std::vector<Service>& services_;
  std::vector<Paper> seeds_;
  Desk& desk_;
  Works works_;
  Harvest harvest_;
  Catalogue catalogue_;
  Profile profile_;
  std::vector<std::vector<std::size_t>> levels_;
  std::size_t taken_ = 0;
  std::uint64_t unnamed_ = 0;
  std::vector<std::string> not_found_;
  bool finished_ = false;
};

}  // namespace eddy::crawl
