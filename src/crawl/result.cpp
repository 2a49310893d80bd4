#include "crawl/result.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/units.h"
#include "io/file.h"

namespace eddy::crawl {
namespace {
using Json = nlohmann::ordered_json;

Json text_or_null(const std::string& s) {
  return s.empty() ? Json() : Json(s);
}
std::string line_of(const Json& j) {
  return j.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

int rank_of(const std::optional<Payload>& p) {
  return !p ? 3 : p->kind == "latex" ? 0 : p->kind == "tex" ? 1 : 2;
}

FinalPaper final_of(const Item& item, const Entry& entry) {
  FinalPaper f;
  f.paper = entry.paper;
  f.paper.fill_from(item.base);
  Paper known = item.known();
  f.paper.fields = known.fields;
  f.paper.fill_from(known);
  f.depth = entry.depth;
  f.score = entry.score.whole;
  f.payload = item.payload;
  f.reason = item.reason;
  f.licence = item.payload ? item.payload_licence : (f.paper.licence.empty() ? f.paper.arxiv_licence : f.paper.licence);
  return f;
}

using Counts = std::map<std::string, std::uint64_t>;

/// What was counted, for report.json and report.txt.
struct Report {
  bool finished = false;
  std::uint64_t papers = 0, payload_bytes = 0, unnamed = 0;
  Counts by_depth, payloads, no_payload, missing, left_out, licences;
  std::vector<std::string> seeds_not_found;
  Json json() const;
  std::string text() const;
};

Json Report::json() const {
  return {{"finished", finished},
          {"papers", papers},
          {"papers_by_depth", by_depth},
          {"payloads", payloads},
          {"payload_bytes", payload_bytes},
          {"no_payload", no_payload},
          {"missing", missing},
          {"licences", licences},
          {"left_out", left_out},
          {"references_without_id", unnamed},
          {"seeds_not_found", seeds_not_found}};
}

std::string Report::text() const {
  std::string out = fmt::format("{} papers{}\n", papers,
                                finished ? "" : " so far: the crawl was stopped and goes on when it is started again");
  const auto section = [&](const char* title, const Counts& counts) {
    if (counts.empty()) return;
    out += fmt::format("{}:\n", title);
    for (const auto& [name, n] : counts) out += fmt::format("  {:>8} {}\n", n, name);
  };
  section("by depth", by_depth);
  section(fmt::format("payloads ({})", bytes_text(static_cast<double>(payload_bytes))).c_str(), payloads);
  section("without a payload, because", no_payload);
  section("papers that lack", missing);
  section("licences", licences);
  section("papers met and left out, because", left_out);
  if (unnamed > 0) out += fmt::format("references without any id, not followed: {}\n", unnamed);
  for (const auto& seed : seeds_not_found) out += fmt::format("not found to start from: {}\n", seed);
  return out;
}

}  // namespace

std::vector<std::string> FinalPaper::missing() const {
  std::vector<std::string> names;
  const auto check = [&](const char* name, bool there) {
    if (!there) names.push_back(name);
  };
  check("abstract", !paper.abstract.empty());
  check("authors", !paper.authors.empty());
  check("date", !paper.date.empty());
  check("fields", !paper.fields.empty());
  check("licence", !licence.empty());
  check("payload", payload.has_value());
  check("venue", !paper.venue.empty());
  check("year", paper.year > 0);
  return names;
}

Json FinalPaper::json() const {
  const Paper& p = paper;
  return {{"id", p.id()},
          {"doi", text_or_null(p.doi)},
          {"arxiv", text_or_null(p.arxiv)},
          {"arxiv_version", p.arxiv_version > 0 ? Json(p.arxiv_version) : Json()},
          {"s2", text_or_null(p.s2)},
          {"openalex", text_or_null(p.openalex)},
          {"title", p.title},
          {"authors", p.authors},
          {"date", text_or_null(p.date)},
          {"year", p.year > 0 ? Json(p.year) : Json()},
          {"venue", text_or_null(p.venue)},
          {"fields", p.fields},
          {"abstract", text_or_null(p.abstract)},
          {"licence", text_or_null(licence)},
          {"depth", depth},
          {"score", score},
          {"payload", payload ? Json(payload->json()) : Json()},
          {"missing", missing()}};
}

std::vector<FinalPaper> final_papers(const Walk& walk, std::vector<std::string>& untitled) {
  // A second look at who is who: what was asked for since may join two papers (an e-print and its journal article).
  Catalogue again;
  std::vector<FinalPaper> all;
  for (const Item* item : walk.harvest().items()) {
    all.push_back(final_of(*item, walk.catalogue().at(item->entry)));
    again.add(all.back().paper);
  }
  std::map<std::size_t, FinalPaper> joined;
  for (FinalPaper& f : all) {
    const std::size_t root = again.root(again.add(f.paper));
    const auto at = joined.find(root);
    if (at == joined.end()) {
      joined.emplace(root, std::move(f));
      continue;
    }
    FinalPaper& kept = at->second;
    kept.depth = std::min(kept.depth, f.depth);
    kept.score = std::max(kept.score, f.score);
    kept.paper.fill_from(f.paper);
    if (rank_of(f.payload) < rank_of(kept.payload)) {
      kept.payload = f.payload;
      kept.licence = f.licence;
      kept.reason.clear();
    } else if (kept.licence.empty() && !kept.payload) {
      kept.licence = f.licence;
    }
  }
  std::vector<FinalPaper> papers;
  for (auto& [root, f] : joined)
    if (f.paper.title.empty())
      untitled.push_back(f.paper.id());
    else
      papers.push_back(std::move(f));
  std::sort(papers.begin(), papers.end(),
            [](const FinalPaper& a, const FinalPaper& b) { return a.paper.id() < b.paper.id(); });
  std::sort(untitled.begin(), untitled.end());
  return papers;
}

std::string write_results(const std::filesystem::path& folder, const Walk& walk, const Desk& desk, bool finished) {
  Report report;
  report.finished = finished;
  report.unnamed = walk.unnamed();
  report.seeds_not_found = walk.seeds_not_found();
  std::sort(report.seeds_not_found.begin(), report.seeds_not_found.end());

  std::vector<std::string> untitled;
  io::AtomicFile papers(folder / "papers.jsonl");
  for (const FinalPaper& f : final_papers(walk, untitled)) {
    papers.write(line_of(f.json()));
    ++report.papers;
    ++report.by_depth[fmt::format("depth {}", f.depth)];
    ++report.licences[f.licence.empty() ? "unknown" : f.licence];
    for (const std::string& name : f.missing()) ++report.missing[name];
    if (f.payload) {
      ++report.payloads[f.payload->kind];
      report.payload_bytes += f.payload->bytes;
    } else {
      ++report.no_payload[f.reason.empty() ? "not fetched yet" : f.reason];
    }
  }
  papers.commit();

  std::map<std::string, std::string> candidates;  // by id
  for (const std::size_t i : walk.catalogue().roots()) {
    const Entry& e = walk.catalogue().at(i);
    const std::string id = e.paper.id();
    const bool no_title = std::binary_search(untitled.begin(), untitled.end(), id);
    const std::string decision = e.decision.empty() ? "not decided yet" : no_title ? "no title" : e.decision;
    if (decision != "taken") ++report.left_out[decision];
    candidates[id] =
        line_of(Json{{"id", id},
                     {"title", text_or_null(e.paper.title)},
                     {"year", e.paper.year > 0 ? Json(e.paper.year) : Json()},
                     {"depth", e.depth},
                     {"decision", decision},
                     {"score", e.score.whole},
                     {"parts", {{"text", e.score.text}, {"links", e.score.links}, {"keywords", e.score.keywords}}}});
  }
  io::AtomicFile file(folder / "candidates.jsonl");
  for (const auto& [id, line] : candidates) file.write(line);
  file.commit();

  Json json = report.json();
  std::string text = report.text();
  Json requests = Json::object();
  for (const auto& [channel, t] : desk.tallies()) {
    requests[channel] = {
        {"asked", t.asked}, {"answered", t.answered}, {"remembered", t.remembered}, {"failed", t.failed}};
    for (const auto& [reason, n] : t.failed)
      text += fmt::format("requests given up: {} × {}: {}\n", n, channel, reason);
  }
  json["requests"] = requests;
  auto failures = Json::array();
  for (const Record& r : desk.failures()) failures.push_back({{"key", r.key}, {"reason", r.reason}});
  std::sort(failures.begin(), failures.end(), [](const Json& a, const Json& b) { return a.dump() < b.dump(); });
  json["failures"] = failures;
  io::write_file(folder / "report.json", json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  io::write_file(folder / "report.txt", text);
  return text;
}

}  // namespace eddy::crawl
