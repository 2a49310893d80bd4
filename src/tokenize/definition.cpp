#include "tokenize/definition.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/json.h"
#include "tokenize/regex.h"
#include "tokenize/string_ids.h"
#include "tokenize/unicode.h"

namespace eddy::tokenize {

const std::string_view kGpt2Split = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

namespace {

using nlohmann::json;

std::string type_of(const json& part) {
  return part.value("type", std::string("(no type)"));
}
bool absent(const json& part, const char* key) {
  return !part.contains(key) || part.at(key).is_null();
}

class Parser {
 public:
  explicit Parser(const std::string& file) : file_(file) {}

  Definition parse(const json& root) {
    if (!root.is_object() || absent(root, "model")) fail_input("{}: not a tokenizer.json: it has no 'model'", file_);
    check_normalizer(root);
    model(root.at("model"));
    if (!absent(root, "added_tokens"))
      for (const json& token : root.at("added_tokens")) added_token(token);
    pre_tokenizer(root);
    return std::move(out_);
  }

 private:
  void check_normalizer(const json& root) const {
    if (absent(root, "normalizer")) return;
    const json& n = root.at("normalizer");
    if (type_of(n) == "Sequence" && n.at("normalizers").empty()) return;
    const json& named = type_of(n) == "Sequence" ? n.at("normalizers").at(0) : n;
    fail_input("{}: the normalizer '{}' is not supported; Eddy tokenizes text as it is", file_, type_of(named));
  }

  std::uint32_t id(const json& value, const std::string& token) const {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > kLargestTokenId)
      fail_input("{}: the id {} of token '{}' is not a number up to {}", file_, value.dump(), token, kLargestTokenId);
    return value.get<std::uint32_t>();
  }

  void model(const json& m) {
    if (const std::string type = m.value("type", std::string("BPE")); type != "BPE")
      fail_input("{}: the model '{}' is not supported; Eddy reads byte-level BPE", file_, type);
    if (m.value("byte_fallback", false)) fail_input("{}: a BPE with byte_fallback is not supported", file_);
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"})
      if (!absent(m, key) && !m.at(key).get<std::string>().empty())
        fail_input("{}: a BPE with {} is not supported", file_, key);
    if (!absent(m, "dropout") && m.at("dropout").get<double>() > 0)
      fail_input("{}: a BPE with dropout is not supported; set it to null", file_);
    out_.ignore_merges = m.value("ignore_merges", false);
    out_.fuse_unknown = m.value("fuse_unk", false);
    const json& vocabulary = m.at("vocab");
    ids_.reserve(vocabulary.size());
    for (const auto& [token, value] : vocabulary.items()) {
      const std::uint32_t number = id(value, token);
      if (number >= out_.vocabulary.size()) out_.vocabulary.resize(number + 1);
      if (out_.vocabulary[number])
        fail_input("{}: the tokens '{}' and '{}' have the same id {}", file_, *out_.vocabulary[number], token, number);
      out_.vocabulary[number] = token;
      ids_.emplace(token, number);
    }
    if (!absent(m, "unk_token")) out_.unknown = known(m.at("unk_token").get<std::string>(), "the unknown token");
    merges(m.at("merges"));
  }

  std::uint32_t known(std::string_view token, std::string_view what) const {
    const auto found = ids_.find(token);
    if (found == ids_.end()) fail_input("{}: {} '{}' is not in the vocabulary", file_, what, token);
    return found->second;
  }

  void merges(const json& list) {
    out_.merges.reserve(list.size());
    std::string joined;
    for (const json& entry : list) {
      std::string_view left, right;
      if (entry.is_string()) {
        const std::string_view text = entry.get_ref<const std::string&>();
        const std::size_t space = std::min(text.find(' '), text.size());
        left = text.substr(0, space);
        right = text.substr(std::min(space + 1, text.size()));
      } else if (entry.is_array() && entry.size() == 2) {
        left = entry[0].get_ref<const std::string&>();
        right = entry[1].get_ref<const std::string&>();
      }
      if (left.empty() || right.empty() || (entry.is_string() && right.find(' ') != std::string_view::npos))
        fail_input("{}: merge {} is not two tokens: {}", file_, out_.merges.size(), entry.dump());
      joined.assign(left).append(right);
      out_.merges.push_back({known(left, "a merge's left token"), known(right, "a merge's right token"),
                             known(joined, "a merge's result")});
    }
  }

  void added_token(const json& t) {
    AddedToken token;
    token.content = t.at("content").get<std::string>();
    token.id = id(t.at("id"), token.content);
    token.special = t.value("special", false);
    token.normalized = t.value("normalized", !token.special);
    token.left_strip = t.value("lstrip", false);
    token.right_strip = t.value("rstrip", false);
    token.single_word = t.value("single_word", false);
    if (token.content.empty()) fail_input("{}: the added token {} is empty", file_, token.id);
    const auto [same, fresh] = ids_.emplace(token.content, token.id);
    if (!fresh && same->second != token.id)
      fail_input("{}: the token '{}' has two ids, {} and {}", file_, token.content, same->second, token.id);
    const bool of_model = token.id < out_.vocabulary.size() && out_.vocabulary[token.id];
    if ((of_model && *out_.vocabulary[token.id] != token.content) || !added_ids_.insert(token.id).second)
      fail_input("{}: the added token '{}' has the id {} of another token", file_, token.content, token.id);
    out_.added.push_back(std::move(token));
  }

  void pre_tokenizer(const json& root) {
    if (absent(root, "pre_tokenizer")) fail_input("{}: no pre-tokenizer: Eddy reads byte-level BPE", file_);
    const json& p = root.at("pre_tokenizer");
    bool byte_level = false;
    if (type_of(p) == "Sequence")
      for (const json& step : p.at("pretokenizers")) pre_tokenizer_step(step, byte_level);
    else
      pre_tokenizer_step(p, byte_level);
    if (!byte_level) fail_input("{}: the pre-tokenizer has no ByteLevel: Eddy reads byte-level BPE", file_);
  }

  void pre_tokenizer_step(const json& step, bool& byte_level) {
    const std::string type = type_of(step);
    if (byte_level) fail_input("{}: the pre-tokenizer '{}' after ByteLevel is not supported", file_, type);
    auto& rule = out_.pre_tokenizer;
    if (type == "Split") {
      rule.splits.push_back(split(step));
    } else if (type == "Digits") {
      const bool each = step.value("individual_digits", false);
      rule.splits.push_back({R"(\p{N})", each ? SplitBehavior::isolated : SplitBehavior::contiguous, false});
    } else if (type == "ByteLevel") {
      byte_level = true;
      rule.add_prefix_space = step.value("add_prefix_space", true);
      rule.gpt2_split = step.value("use_regex", true);
    } else {
      fail_input("{}: the pre-tokenizer '{}' is not supported (Split, Digits and ByteLevel are)", file_, type);
    }
  }

  SplitRule split(const json& step) const {
    static const std::unordered_map<std::string, SplitBehavior> behaviors = {
        {"Removed", SplitBehavior::removed},
        {"Isolated", SplitBehavior::isolated},
        {"MergedWithPrevious", SplitBehavior::merged_with_previous},
        {"MergedWithNext", SplitBehavior::merged_with_next},
        {"Contiguous", SplitBehavior::contiguous}};
    const json& pattern = step.at("pattern");
    const auto behavior = behaviors.find(step.at("behavior").get<std::string>());
    if (behavior == behaviors.end()) fail_input("{}: unknown split behaviour {}", file_, step.at("behavior").dump());
    const bool regex = pattern.contains("Regex");
    const auto text = pattern.at(regex ? "Regex" : "String").get<std::string>();
    return {regex ? text : quote(text), behavior->second, step.value("invert", false)};
  }

  std::string file_;
  Definition out_;
  IdMap ids_;
  std::unordered_set<std::uint32_t> added_ids_;
};

}  // namespace

Definition parse_definition(const std::string& json_text, const std::string& file) {
  try {
    return Parser(file).parse(parse_json<json>(json_text, file));
  } catch (const json::exception& e) {
    fail_input("{}: not a tokenizer.json that Eddy can read: {}", file, json_reason(e));
  }
}

}  // namespace eddy::tokenize
