#pragma once
// Crossref's answers by DOI, each asked for once: the walk wants a paper's references, the harvest its licence and
// dates.
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "crawl/crossref.h"
#include "crawl/desk.h"

namespace eddy::crawl {

class Works {
 public:
  using Then = std::function<void(const crossref::Work&)>;
  explicit Works(Desk& desk) : desk_(desk) {}
  /// `then` gets the work, later; an empty one where Crossref has none.
  void ask(const std::string& doi, Then then) {
    if (const auto at = known_.find(doi); at != known_.end()) {
      desk_.later([work = at->second, then = std::move(then)] { then(*work); });
      return;
    }
    desk_.ask(crossref::work(doi), [this, doi, then = std::move(then)](const Record& r) {
      auto& work = known_[doi];
      if (!work) work = std::make_shared<const crossref::Work>(r.ok ? crossref::work_of(r.json) : crossref::Work{});
      then(*std::shared_ptr<const crossref::Work>(work));
    });
  }

 private:
  Desk& desk_;
  std::map<std::string, std::shared_ptr<const crossref::Work>> known_;
};

}  // namespace eddy::crawl
