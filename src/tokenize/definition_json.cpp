#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tokenize/trainer.h"

namespace eddy::tokenize {

std::string definition_json(const Definition& definition) {
  using json = nlohmann::ordered_json;
  json added = json::array();
  for (const AddedToken& token : definition.added)
    added.push_back({{"id", token.id},
                     {"content", token.content},
                     {"single_word", token.single_word},
                     {"lstrip", token.left_strip},
                     {"rstrip", token.right_strip},
                     {"normalized", token.normalized},
                     {"special", token.special}});
  json steps = json::array();
  for (const SplitRule& split : definition.pre_tokenizer.splits) {
    if (split.behavior != SplitBehavior::isolated) fail_run("only isolated splits are written");
    steps.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", split.pattern}}},
                     {"behavior", "Isolated"},
                     {"invert", split.invert}});
  }
  const auto byte_level = [](bool use_regex) {
    return json{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
  };
  steps.push_back(byte_level(false));
  json vocabulary = json::object(), merges = json::array();
  auto& entries = vocabulary.get_ref<json::object_t&>();
  for (std::uint32_t id = 0; id < definition.vocabulary.size(); ++id)
    entries.emplace_back(*definition.vocabulary[id], id);  // not operator[], which looks for the key one by one
  for (const MergeRule& rule : definition.merges)
    merges.push_back(*definition.vocabulary[rule.left] + " " + *definition.vocabulary[rule.right]);
  const json file = {{"version", "1.0"},
                     {"truncation", nullptr},
                     {"padding", nullptr},
                     {"added_tokens", added},
                     {"normalizer", nullptr},
                     {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", steps}}},
                     {"post_processor", nullptr},
                     {"decoder", byte_level(true)},
                     {"model",
                      {{"type", "BPE"},
                       {"dropout", nullptr},
                       {"unk_token", nullptr},
                       {"continuing_subword_prefix", nullptr},
                       {"end_of_word_suffix", nullptr},
                       {"fuse_unk", false},
                       {"byte_fallback", false},
                       {"ignore_merges", false},
                       {"vocab", std::move(vocabulary)},
                       {"merges", std::move(merges)}}}};
  return file.dump(1) + "\n";
}

}  // namespace eddy::tokenize
