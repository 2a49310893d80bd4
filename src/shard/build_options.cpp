#include "shard/build_options.h"

#include <fnmatch.h>

#include <algorithm>
#include <charconv>

#include "base/error.h"

namespace eddy::shard {

WeightRule parse_weight(const std::string& text) {
  const std::size_t equal = text.find('='), colon = text.rfind(':');
  WeightRule rule;
  if (equal != std::string::npos && colon != std::string::npos && colon > equal + 1) {
    rule.what = text.substr(0, equal);
    rule.pattern = text.substr(equal + 1, colon - equal - 1);
    const char* end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data() + colon + 1, end, rule.weight);
    const bool known = rule.what == "source" || rule.what == "field" || rule.what == "kind";
    if (known && error == std::errc() && at == end && rule.weight >= 0 && rule.weight <= 1000) return rule;
  }
  fail_input("weights: '{}' is not WHAT=PATTERN:WEIGHT, where WHAT is source, field or kind, and WEIGHT from 0 to 1000",
             text);
}

namespace {
bool matches(const WeightRule& rule, const std::string& name) {
  if (fnmatch(rule.pattern.c_str(), name.c_str(), FNM_CASEFOLD) == 0) return true;
  return rule.what == "source" && name.size() > rule.pattern.size() && name.starts_with(rule.pattern) &&
         (name[rule.pattern.size()] == '/' || rule.pattern.ends_with('/'));
}
}  // namespace

double weight_of(const std::vector<WeightRule>& rules, const std::string& source,
                 const std::vector<std::string>& fields, DocKind kind) {
  double weight = 1;
  for (const std::string_view what : {"source", "field", "kind"})
    for (const WeightRule& rule : rules) {
      if (rule.what != what) continue;
      const bool hit = what == "source" ? matches(rule, source)
                       : what == "kind" ? matches(rule, std::string(kind_name(kind)))
                                        : std::any_of(fields.begin(), fields.end(),
                                                      [&](const std::string& f) { return matches(rule, f); });
      if (!hit) continue;
      weight *= rule.weight;
      break;
    }
  return weight;
}

nlohmann::ordered_json BuildOptions::to_json() const {
  nlohmann::ordered_json j{{"split.validation", split.validation},
                           {"split.test", split.test},
                           {"split.seed", split.seed},
                           {"folds", split.folds},
                           {"fold", split.fold},
                           {"shard_tokens", shard_tokens},
                           {"dedup", dedup.mode}};
  // Not its URL: the same server on another node, or another one like it, goes on with the work.
  if (!grobid.url.empty()) j["grobid"] = {{"version", grobid_version}, {"seconds", grobid.seconds}};
  if (dedup.mode == "near")
    j["minhash"] = {{"shingle", dedup.minhash.shingle},
                    {"bands", dedup.minhash.bands},
                    {"rows", dedup.minhash.rows},
                    {"seed", dedup.minhash.seed},
                    {"min_words", dedup.min_words}};
  nlohmann::ordered_json rules;
  for (const text::QualityRule& r : screen.rules) rules[std::string(r.name)] = r.limit;
  j["screen"] = {{"quality", screen.papers},
                 {"rules", rules},
                 {"language", screen.language},
                 {"mask_emails", screen.mask_emails},
                 {"licences", screen.licences}};
  j["decontaminate"] = {{"files", decontaminate.files}, {"words", decontaminate.words}};
  j["pairs"] = {{"kinds", pairs.kinds},         {"templates", pairs.templates}, {"think", pairs.think},
                {"phrasings", pairs.phrasings}, {"per_paper", pairs.per_paper}, {"max_words", pairs.max_words},
                {"seed", pairs.seed},           {"together", pairs.together}};
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const WeightRule& w : weights) all.push_back(fmt::format("{}={}:{}", w.what, w.pattern, w.weight));
  j["weights"] = all;
  j["make_task"] = task_field;
  return j;
}

}  // namespace eddy::shard
