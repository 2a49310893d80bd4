#include "crawl/desk.h"

#include <utility>

namespace eddy::crawl {

void Desk::count(const Record& r) {
  if (r.ok) return;
  ++tallies_[r.channel].failed[r.reason];
  Record short_one = r;
  short_one.json = nullptr;
  short_one.text.clear();
  failures_.push_back(std::move(short_one));
}

void Desk::ask(const Ask& ask, Then then) {
  const std::string key = ask.key();
  if (const auto at = waiting_.find(key); at != waiting_.end()) {
    at->second.push_back(std::move(then));
    return;
  }
  if (const auto at = small_.find(key); at != small_.end()) {
    ready_.push_back([record = at->second, then = std::move(then)] { then(*record); });
    return;
  }
  if (auto record = memory_.find(key, retry_failed_)) {
    ++tallies_[ask.channel].remembered;
    count(*record);
    // Read again when its turn comes: a whole level's answers need not be in memory at once.
    ready_.push_back([this, key, then = std::move(then)] { then(*memory_.find(key)); });
    return;
  }
  waiting_[key].push_back(std::move(then));
  outgoing_.push_back(ask);
  ++tallies_[ask.channel].asked;
}

void Desk::deliver(Record record) {
  auto node = waiting_.extract(record.key);
  if (node.empty()) return;
  ++tallies_[record.channel].answered;
  tallies_[record.channel].reached += record.status > 0;
  count(record);
  const auto shared = std::make_shared<const Record>(std::move(record));
  if (shared->json.is_null() && shared->text.empty()) small_[shared->key] = shared;
  for (Then& then : node.mapped()) ready_.push_back([shared, then = std::move(then)] { then(*shared); });
}

std::string Desk::unreachable() const {
  std::string why;
  for (const auto& [channel, t] : tallies_) {
    if (t.reached > 0) return "";
    if (t.answered == 0) continue;
    std::string reasons;
    for (const auto& [reason, n] : t.failed) reasons += (reasons.empty() ? "" : ", ") + reason;
    why += (why.empty() ? "" : "; ") + channel + ": " + reasons;
  }
  return why;
}

void Desk::drain() {
  while (!ready_.empty()) {
    const auto next = std::move(ready_.front());
    ready_.pop_front();
    next();
  }
}

}  // namespace eddy::crawl
