#include "crawl/walk.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "base/log.h"
#include "crawl/ids.h"
#include "crawl/s2.h"

namespace eddy::crawl {
namespace {

std::string lower(std::string s) {
  std::transform(s.begin(), s.end(), s.begin(), [](unsigned char c) { return std::tolower(c); });
  return s;
}
bool all_digits(const std::string& s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), [](unsigned char c) { return std::isdigit(c); });
}

/// Of the authors found by a name the one who bears it and has most papers; nothing where none bears it.
std::optional<s2::Author> best_author(const std::vector<s2::Author>& authors, const std::string& name) {
  std::optional<s2::Author> best;
  int namesakes = 0;
  for (const s2::Author& a : authors) {
    if (lower(a.name) != lower(name)) continue;
    ++namesakes;
    if (!best || a.papers > best->papers || (a.papers == best->papers && a.id < best->id)) best = a;
  }
  if (namesakes > 1)
    log::warning(
        "from.author = {}: {} authors bear this name; taken is {}, who has most papers ({}). Give the id to "
        "choose another",
        name, namesakes, best->id, best->papers);
  return best;
}

}  // namespace

Walk::Walk(const CrawlOptions& options, const std::vector<Service>& services, std::vector<Paper> seeds, Desk& desk)
    : options_(options),
      services_(services),
      seeds_(std::move(seeds)),
      desk_(desk),
      works_(desk),
      harvest_(options, services, desk, works_) {}

void Walk::read_pages(std::function<Ask(int)> page, int offset, Slots slots, std::size_t slot,
                      std::shared_ptr<Countdown> rest) {
  desk_.ask(page(offset), [this, page, slots, slot, rest](const Record& r) {
    Found& found = (*slots)[slot];
    found.ok = found.ok && r.ok;
    const s2::Page p = r.ok ? s2::page(r.json) : s2::Page{};
    found.papers.insert(found.papers.end(), p.papers.begin(), p.papers.end());
    found.unnamed += p.unnamed;
    if (p.next)
      read_pages(page, *p.next, slots, slot, rest);
    else
      rest->hit();
  });
}

void Walk::ask_author(const std::string& author, Slots slots, std::size_t slot, std::shared_ptr<Countdown> rest) {
  const auto pages = [this, slots, slot, rest](const std::string& id) {
    read_pages([id](int offset) { return s2::author_papers(id, offset); }, 0, slots, slot, rest);
  };
  if (all_digits(author)) return pages(author);
  desk_.ask(s2::author_search(author), [this, author, pages, rest](const Record& r) {
    const auto best = r.ok ? best_author(s2::authors(r.json), author) : std::nullopt;
    if (best) return pages(best->id);
    not_found_.push_back("author " + author);
    rest->hit();
  });
}

void Walk::start() {
  const std::size_t seeds = seeds_.size(), authors = options_.authors.size();
  const auto slots = std::make_shared<std::vector<Found>>(seeds + authors);
  const auto rest = Countdown::make(seeds + authors + 1, [this, slots] {
    std::vector<Paper> papers;
    for (const Found& found : *slots) papers.insert(papers.end(), found.papers.begin(), found.papers.end());
    describe_seeds(std::move(papers));
  });
  for (std::size_t i = 0; i < seeds; ++i) {
    const Paper& seed = seeds_[i];
    if (!seed.id().empty()) {
      (*slots)[i].papers = {seed};
      desk_.later([rest] { rest->hit(); });
      continue;
    }
    desk_.ask(s2::match(seed.title), [this, slots, i, rest, seed](const Record& r) {
      const auto match = r.ok ? s2::matched(r.json) : std::nullopt;
      // The best match of a title may be another paper altogether.
      if (match && title_key(match->title) == title_key(seed.title))
        (*slots)[i].papers = {*match};
      else
        not_found_.push_back("title " + seed.title);
      rest->hit();
    });
  }
  for (std::size_t i = 0; i < authors; ++i) ask_author(options_.authors[i], slots, seeds + i, rest);
  desk_.later([rest] { rest->hit(); });
}

void Walk::describe(const std::vector<Paper>& papers, std::function<void(std::vector<std::optional<Paper>>)> then) {
  const std::size_t batches = (papers.size() + s2::kBatch - 1) / s2::kBatch;
  const auto found = std::make_shared<std::vector<std::optional<Paper>>>(papers.size());
  const auto rest = Countdown::make(batches + 1, [found, then = std::move(then)] { then(std::move(*found)); });
  for (std::size_t b = 0; b < batches; ++b) {
    const std::size_t first = b * s2::kBatch, end = std::min(papers.size(), first + s2::kBatch);
    std::vector<std::string> names;
    for (std::size_t i = first; i < end; ++i) names.push_back(s2::name_of(papers[i]));
    desk_.ask(s2::batch(names), [found, first, end, rest](const Record& r) {
      if (r.ok) {
        auto answers = s2::batch_papers(r.json, end - first);
        std::move(answers.begin(), answers.end(), found->begin() + static_cast<std::ptrdiff_t>(first));
      }
      rest->hit();
    });
  }
  desk_.later([rest] { rest->hit(); });
}

void Walk::describe_seeds(std::vector<Paper> papers) {
  describe(papers, [this, papers](std::vector<std::optional<Paper>> found) {
    std::vector<Paper> described;
    for (std::size_t i = 0; i < papers.size(); ++i) {
      Paper p = papers[i];
      if (found[i]) {
        p = *found[i];
        p.fill_from(papers[i]);
      }
      described.push_back(std::move(p));
    }
    begin(described);
  });
}

void Walk::begin(const std::vector<Paper>& papers) {
  std::vector<std::size_t> level;
  for (const Paper& p : papers) {
    const std::size_t i = catalogue_.add(p);
    Entry& e = catalogue_.at(i);
    e.depth = 0;
    if (!e.decision.empty()) continue;
    if (taken_ + level.size() >= static_cast<std::size_t>(options_.max_papers)) {
      e.decision = "limit.papers";
      continue;
    }
    e.decision = "taken";
    e.score = {1, 1, 1, 1};
    level.push_back(catalogue_.root(i));
  }
  for (const std::size_t i : level) profile_.add(catalogue_.at(i).paper);
  take_level(level);
}

bool Walk::any_title() const {
  const auto items = harvest_.items();
  return std::any_of(items.begin(), items.end(), [&](const Item* item) {
    return !item->known().title.empty() || !catalogue_.at(item->entry).paper.title.empty();
  });
}

void Walk::take_level(const std::vector<std::size_t>& entries) {
  taken_ += entries.size();
  levels_.push_back(entries);
  std::vector<std::pair<std::size_t, Paper>> papers;
  for (const std::size_t i : entries) papers.emplace_back(i, catalogue_.at(i).paper);
  harvest_.add_level(papers);
  if (entries.empty() || static_cast<int>(levels_.size()) > options_.depth ||
      taken_ >= static_cast<std::size_t>(options_.max_papers))
    finished_ = true;
  else
    desk_.later([this] { expand(); });
}

/// A paper whose references Semantic Scholar does not have may have them at Crossref.
void Walk::ask_crossref_instead(std::size_t entry, Slots slots, std::size_t slot, std::shared_ptr<Countdown> rest) {
  const std::string doi = catalogue_.at(entry).paper.doi;
  if (doi.empty() || !services_[2].use) return rest->hit();
  works_.ask(doi, [slots, slot, rest](const crossref::Work& work) {
    (*slots)[slot].papers = work.references;
    (*slots)[slot].unnamed += work.unnamed;
    rest->hit();
  });
}

void Walk::expand() {
  const std::vector<std::size_t>& level = levels_.back();
  const std::size_t ways = options_.citations ? 2 : 1;
  const auto slots = std::make_shared<std::vector<Found>>(level.size() * ways);
  const auto all = Countdown::make(level.size() * ways, [this, slots] { merge(*slots); });
  for (std::size_t i = 0; i < level.size(); ++i) {
    const std::size_t entry = level[i];
    const std::string name = s2::name_of(catalogue_.at(entry).paper);
    const auto instead = Countdown::make(1, [this, entry, slots, slot = i * ways, all] {
      if ((*slots)[slot].papers.empty())
        ask_crossref_instead(entry, slots, slot, all);
      else
        all->hit();
    });
    read_pages([name](int offset) { return s2::links(name, false, offset); }, 0, slots, i * ways, instead);
    if (options_.citations)
      read_pages([name](int offset) { return s2::links(name, true, offset); }, 0, slots, i * ways + 1, all);
  }
}

void Walk::merge(const std::vector<Found>& found) {
  const std::vector<std::size_t>& level = levels_.back();
  const std::size_t ways = options_.citations ? 2 : 1;
  const int depth = static_cast<int>(levels_.size());
  std::vector<std::size_t> met;
  for (std::size_t slot = 0; slot < found.size(); ++slot) {
    unnamed_ += static_cast<std::uint64_t>(found[slot].unnamed);
    for (const Paper& p : found[slot].papers) {
      const std::size_t i = catalogue_.add(p);
      Entry& e = catalogue_.at(i);
      e.linked.insert(level[slot / ways]);
      if (e.depth < 0) e.depth = depth;
      if (e.decision.empty()) met.push_back(i);
    }
  }
  // Each once; those that a year rules out need no description.
  std::map<std::string, std::size_t> candidates;
  for (const std::size_t i : met) {
    const std::size_t r = catalogue_.root(i);
    Entry& e = catalogue_.at(r);
    if (!e.decision.empty()) continue;
    if (e.paper.year > 0) e.decision = unwanted(e).starts_with("limit.year") ? unwanted(e) : "";
    if (e.decision.empty()) candidates[e.paper.id()] = r;
  }
  std::vector<std::size_t> entries;
  std::vector<Paper> papers;
  for (const auto& [id, i] : candidates) {
    entries.push_back(i);
    papers.push_back(catalogue_.at(i).paper);
  }
  describe(papers, [this, entries](std::vector<std::optional<Paper>> descriptions) {
    std::vector<std::size_t> all = entries;
    for (std::size_t i = 0; i < entries.size(); ++i)
      if (descriptions[i]) {
        Entry& e = catalogue_.at(entries[i]);
        const int level_met = e.depth;
        const std::size_t same = catalogue_.add(*descriptions[i]);
        if (catalogue_.root(same) != catalogue_.root(entries[i])) {  // described under other names than it was met by
          catalogue_.at(same).linked.insert(e.linked.begin(), e.linked.end());
          if (catalogue_.at(same).depth < 0) catalogue_.at(same).depth = level_met;
          if (e.decision.empty()) e.decision = "described as another paper";
          all.push_back(same);
        }
      }
    choose(all);
  });
}

/// Why a paper is not wanted, whatever its score; "" for one that is.
std::string Walk::unwanted(const Entry& e) const {
  const Paper& p = e.paper;
  if (options_.year_min > 0 || options_.year_max > 0) {
    if (p.year == 0) return "no year";
    if (options_.year_min > 0 && p.year < options_.year_min) return "limit.year_min";
    if (options_.year_max > 0 && p.year > options_.year_max) return "limit.year_max";
  }
  if (p.title.empty()) return "no title";
  if (!options_.fields.empty() && !p.fields.empty() &&
      std::none_of(p.fields.begin(), p.fields.end(), [&](const std::string& f) {
        return std::any_of(options_.fields.begin(), options_.fields.end(),
                           [&](const std::string& wanted) { return lower(f) == lower(wanted); });
      }))
    return "limit.fields";
  if (!options_.keywords.empty() && std::none_of(options_.keywords.begin(), options_.keywords.end(),
                                                 [&](const std::string& k) { return mentions(p, k); }))
    return "limit.keywords";
  return "";
}

void Walk::choose(std::vector<std::size_t> candidates) {
  std::map<std::pair<double, std::string>, std::size_t> best;  // by falling score, then id
  for (const std::size_t i : candidates) {
    Entry& e = catalogue_.at(i);
    if (!e.decision.empty()) continue;
    e.score = score(e, profile_, options_);
    e.decision = unwanted(e);
    if (e.decision.empty() && e.score.whole < options_.min_score) e.decision = "limit.score";
    if (e.decision.empty()) best[{-e.score.whole, e.paper.id()}] = catalogue_.root(i);
  }
  std::vector<std::size_t> level;
  for (const auto& [rank, i] : best) {
    Entry& e = catalogue_.at(i);
    if (!e.decision.empty()) continue;
    if (taken_ + level.size() >= static_cast<std::size_t>(options_.max_papers)) {
      e.decision = "limit.papers";
    } else if (options_.max_per_level > 0 && level.size() >= static_cast<std::size_t>(options_.max_per_level)) {
      e.decision = "limit.per_level";
    } else {
      e.decision = "taken";
      level.push_back(i);
    }
  }
  take_level(level);
}

}  // namespace eddy::crawl
