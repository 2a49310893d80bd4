#include "shard/tally.h"

#include <algorithm>
#include <tuple>

#include "base/error.h"

namespace eddy::shard {
using nlohmann::json;
using nlohmann::ordered_json;

void Tally::count(std::uint32_t unit, std::uint64_t line, const extract::Outcome& outcome) {
  if (!outcome.rejected()) {
    ++documents_;
    invalid_utf8_ += outcome.invalid_utf8;
    controls_ += outcome.controls;
    unresolved_inputs_ += outcome.unresolved_inputs;
    return;
  }
  ++reasons_[outcome.reason];
  if (first_.size() < kListed) first_.push_back({unit, line, outcome.reason, outcome.detail});
}

void Tally::count_lines(std::uint32_t unit, std::uint64_t lines) {
  if (lines > 0) lines_[unit] += lines;
}

void Tally::count(const std::string& what, std::uint64_t n) {
  if (n > 0) counters_[what] += n;
}

void Tally::withdraw(std::uint32_t unit, std::uint64_t line, const std::string& reason, const std::string& detail) {
  --documents_;
  ++reasons_[reason];
  const auto before = [](const Rejection& a, const Rejection& b) {
    return std::tie(a.unit, a.line) < std::tie(b.unit, b.line);
  };
  Rejection r{unit, line, reason, detail};
  first_.insert(std::upper_bound(first_.begin(), first_.end(), r, before), r);
  if (first_.size() > kListed) first_.pop_back();
}

void Tally::add(const Tally& o) {
  documents_ += o.documents_;
  invalid_utf8_ += o.invalid_utf8_;
  controls_ += o.controls_;
  unresolved_inputs_ += o.unresolved_inputs_;
  for (const auto& [reason, n] : o.reasons_) reasons_[reason] += n;
  for (const auto& [what, n] : o.counters_) counters_[what] += n;
  for (const auto& [unit, n] : o.lines_) lines_[unit] += n;
  first_.insert(first_.end(), o.first_.begin(), o.first_.end());
  std::sort(first_.begin(), first_.end(),
            [](const Rejection& a, const Rejection& b) { return std::tie(a.unit, a.line) < std::tie(b.unit, b.line); });
  if (first_.size() > kListed) first_.resize(kListed);
}

json Tally::to_json() const {
  json first = json::array(), lines = json::array();
  for (const Rejection& r : first_) first.push_back({r.unit, r.line, r.reason, r.detail});
  for (const auto& [unit, n] : lines_) lines.push_back({unit, n});
  return {{"documents", documents_}, {"invalid_utf8", invalid_utf8_},
          {"controls", controls_},   {"unresolved_inputs", unresolved_inputs_},
          {"reasons", reasons_},     {"first", first},
          {"lines", lines},          {"counters", counters_}};
}

Tally Tally::from_json(const json& j) {
  Tally t;
  t.documents_ = j.at("documents");
  t.invalid_utf8_ = j.at("invalid_utf8");
  t.controls_ = j.at("controls");
  t.unresolved_inputs_ = j.at("unresolved_inputs");
  t.reasons_ = j.at("reasons").get<std::map<std::string, std::uint64_t>>();
  t.counters_ = j.at("counters").get<std::map<std::string, std::uint64_t>>();
  for (const json& r : j.at("first")) t.first_.push_back({r.at(0), r.at(1), r.at(2), r.at(3)});
  for (const json& l : j.at("lines")) t.lines_[l.at(0)] = l.at(1);
  return t;
}

std::vector<std::uint64_t> Tally::lines_before(const std::vector<Unit>& units) const {
  std::vector<std::uint64_t> before(units.size(), 0);
  for (std::uint32_t u = 1; u < units.size(); ++u) {
    if (units[u].file != units[u - 1].file) continue;
    const auto found = lines_.find(u - 1);
    before[u] = before[u - 1] + (found == lines_.end() ? 0 : found->second);
  }
  return before;
}

std::string place_text(const std::string& file, std::uint64_t line) {
  return line > 0 ? fmt::format("{}:{}", file, line) : file;
}

ordered_json Tally::report(const std::vector<InputFile>& files, const std::vector<Unit>& units) const {
  const std::vector<std::uint64_t> before = lines_before(units);
  ordered_json first = ordered_json::array();
  for (const Rejection& r : first_) {
    const std::string& name = files[units[r.unit].file].name;
    ordered_json entry{{"where", place_text(name, r.line > 0 ? before[r.unit] + r.line : 0)}, {"reason", r.reason}};
    if (!r.detail.empty()) entry["detail"] = r.detail;
    first.push_back(std::move(entry));
  }
  return {{"documents", documents_},
          {"rejected", reasons_},
          {"first_rejected", first},
          {"invalid_utf8_replaced", invalid_utf8_},
          {"controls_removed", controls_},
          {"latex_inputs_unresolved", unresolved_inputs_},
          {"counts", counters_}};
}

}  // namespace eddy::shard
