#include "crawl/harvest.h"

#include <algorithm>

#include "base/log.h"
#include "crawl/arxiv.h"
#include "crawl/open_access.h"
#include "net/client.h"

namespace eddy::crawl {
namespace {
constexpr std::size_t kWave = 64;       // papers between two looks at limit.bytes
constexpr std::size_t kMostCopies = 4;  // open copies tried
}  // namespace

Paper Item::known() const {
  Paper p = base;
  p.fill_from(extra);
  for (const std::string& f : extra.fields)  // arXiv's categories beside Semantic Scholar's fields
    if (std::find(p.fields.begin(), p.fields.end(), f) == p.fields.end()) p.fields.push_back(f);
  return p;
}

Harvest::Harvest(const CrawlOptions& options, const std::vector<Service>& services, Desk& desk, Works& works)
    : options_(options), services_(services), desk_(desk), works_(works) {}

bool Harvest::uses(const char* service) const {
  return std::any_of(services_.begin(), services_.end(), [&](const Service& s) { return s.name == service && s.use; });
}

std::vector<const Item*> Harvest::items() const {
  std::vector<const Item*> all;
  for (const auto& level : levels_)
    for (const Item& item : level->items) all.push_back(&item);
  return all;
}

void Harvest::add_level(const std::vector<std::pair<std::size_t, Paper>>& papers) {
  auto level = std::make_unique<Level>();
  for (const auto& [entry, paper] : papers) {
    level->items.emplace_back();
    level->items.back().entry = entry;
    level->items.back().base = paper;
  }
  levels_.push_back(std::move(level));
  enrich(*levels_.back());
}

/// Asks for a batch of ids; where the service calls one of them malformed and answers none, for its halves.
void Harvest::ask_arxiv(Level& level, std::vector<std::size_t> items, std::shared_ptr<Countdown> rest) {
  std::vector<std::string> ids;
  for (const std::size_t i : items) ids.push_back(level.items[i].base.arxiv);
  desk_.ask(arxiv::metadata(ids), [this, &level, items, rest](const Record& r) {
    if (!r.ok && r.status == 400 && items.size() > 1) {
      const auto middle = items.begin() + static_cast<std::ptrdiff_t>(items.size() / 2);
      const auto both = Countdown::make(2, [rest] { rest->hit(); });
      ask_arxiv(level, {items.begin(), middle}, both);
      ask_arxiv(level, {middle, items.end()}, both);
      return;
    }
    const auto found = r.ok ? arxiv::papers(r.text) : std::map<std::string, Paper>{};
    for (const std::size_t i : items)
      if (const auto at = found.find(level.items[i].base.arxiv); at != found.end())
        level.items[i].extra.fill_from(at->second);
    rest->hit();
  });
}

void Harvest::enrich(Level& level) {
  std::vector<std::size_t> at_arxiv;
  struct Question {
    Ask ask;
    std::size_t item;
    std::function<Paper(const Record&)> read;  // null: Crossref's, which goes through works_
  };
  std::vector<Question> questions;
  for (std::size_t i = 0; i < level.items.size(); ++i) {
    const Paper& p = level.items[i].base;
    if (!p.arxiv.empty() && uses("arxiv")) {
      at_arxiv.push_back(i);
      if (options_.arxiv_licences)
        questions.push_back({arxiv::licence(p.arxiv), i, [](const Record& r) {
                               Paper found;
                               found.arxiv_licence = arxiv::licence_of(r.text);
                               return found;
                             }});
    }
    if (p.doi.empty()) continue;
    if (uses("crossref")) questions.push_back({crossref::work(p.doi), i, nullptr});
    if (!p.arxiv.empty()) continue;
    if (uses("unpaywall"))
      questions.push_back({unpaywall::work(p.doi), i, [](const Record& r) { return unpaywall::paper(r.json); }});
    if (uses("openalex"))
      questions.push_back({openalex::work(p.doi), i, [](const Record& r) { return openalex::paper(r.json); }});
  }
  const std::size_t batches = (at_arxiv.size() + arxiv::kBatch - 1) / arxiv::kBatch;
  // Answers are kept in their questions' order: what is known must not depend on which came first.
  const auto answers = std::make_shared<std::vector<Paper>>(questions.size());
  std::vector<std::size_t> owners;
  for (const Question& q : questions) owners.push_back(q.item);
  const auto rest = Countdown::make(batches + questions.size() + 1, [this, &level, answers, owners] {
    for (std::size_t i = 0; i < owners.size(); ++i) level.items[owners[i]].extra.fill_from((*answers)[i]);
    for (Item& item : level.items) plan(item);
    level.enriched = true;
    fetch();
  });
  for (std::size_t b = 0; b < batches; ++b) {
    const auto first = at_arxiv.begin() + static_cast<std::ptrdiff_t>(b * arxiv::kBatch);
    ask_arxiv(
        level,
        {first, first + static_cast<std::ptrdiff_t>(std::min(arxiv::kBatch, at_arxiv.size() - b * arxiv::kBatch))},
        rest);
  }
  for (std::size_t i = 0; i < questions.size(); ++i) {
    if (!questions[i].read) {
      works_.ask(level.items[questions[i].item].base.doi, [answers, i, rest](const crossref::Work& work) {
        (*answers)[i] = work.paper;
        rest->hit();
      });
      continue;
    }
    desk_.ask(questions[i].ask, [answers, i, rest, read = questions[i].read](const Record& r) {
      if (r.ok) (*answers)[i] = read(r);
      rest->hit();
    });
  }
  desk_.later([rest] { rest->hit(); });
}

/// What to try for the paper itself, in this order: arXiv's source, arXiv's PDF, open copies elsewhere.
void Harvest::plan(Item& item) const {
  const Paper p = item.known();
  if (options_.download == "none") {
    item.reason = "payload.download = none";
    return;
  }
  if (!p.arxiv.empty() && uses("arxiv")) {
    item.downloads.push_back(arxiv::eprint(p.arxiv, p.arxiv_version));
    if (options_.download == "all") item.downloads.push_back(arxiv::pdf(p.arxiv, p.arxiv_version));
    item.licences.assign(item.downloads.size(), p.arxiv_licence);
  }
  for (std::size_t i = 0; i < p.copies.size() && i < kMostCopies && options_.download == "all"; ++i) {
    const std::string host = net::host_of(p.copies[i].url);
    if (host.empty() || host == "arxiv.org" || host.ends_with(".arxiv.org")) continue;  // arXiv has its channel
    item.downloads.push_back({"host:" + host, "GET", p.copies[i].url, "", Form::payload});
    item.licences.push_back(p.copies[i].licence.empty() ? p.licence : p.copies[i].licence);
  }
  if (item.downloads.empty()) item.reason = "no open copy known";
}

std::size_t Harvest::wave_end(const Level& level) const {
  return options_.max_bytes == 0 ? level.items.size() : std::min(level.items.size(), level.wave + kWave);
}

void Harvest::fetch() {
  if (fetching_ || finished_ == levels_.size() || !levels_[finished_]->enriched) return;
  fetching_ = true;
  fetch_round(*levels_[finished_]);
}

void Harvest::fetch_round(Level& level) {
  std::vector<Item*> wanted;
  for (std::size_t i = level.wave; i < wave_end(level); ++i) {
    Item& item = level.items[i];
    if (exhausted_)
      item.reason = "limit.bytes";
    else if (!item.payload && level.round < item.downloads.size())
      wanted.push_back(&item);
  }
  if (wanted.empty()) {
    end_wave(level);
    return;
  }
  const auto rest = Countdown::make(wanted.size(), [this, &level] {
    ++level.round;
    fetch_round(level);
  });
  for (Item* item : wanted)
    desk_.ask(item->downloads[level.round], [item, rest, round = level.round](const Record& r) {
      if (r.ok) {
        item->payload = payload_of(r.payload);
        item->payload_licence = item->licences[round];
      }
      item->reason = r.ok ? "" : r.reason;
      rest->hit();
    });
}

/// Keeps, in the papers' order, what limit.bytes allows.
void Harvest::end_wave(Level& level) {
  const std::size_t end = wave_end(level);
  for (std::size_t i = level.wave; i < end; ++i) {
    Item& item = level.items[i];
    if (!item.payload) continue;
    exhausted_ = exhausted_ || (options_.max_bytes > 0 && spent_ + item.payload->bytes > options_.max_bytes);
    if (exhausted_) {
      item.payload.reset();
      item.reason = "limit.bytes";
    } else {
      spent_ += item.payload->bytes;
    }
  }
  level.wave = end;
  level.round = 0;
  desk_.later([this, &level] {  // not from within: a long crawl would run out of stack
    if (level.wave < level.items.size()) return fetch_round(level);
    fetching_ = false;
    ++finished_;
    fetch();
  });
}

}  // namespace eddy::crawl
