#pragma once
// What a tokenizer.json says, read and checked, before any table is built from it.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace eddy::tokenize {

/// Tables are indexed by token id: larger ones are refused.
inline constexpr std::uint32_t kLargestTokenId = (1u << 24) - 1;

/// A token that is cut out of the text before anything else.
struct AddedToken {
  std::uint32_t id = 0;
  std::string content{};
  bool special = false;      ///< left out by decode's skip_special
  bool normalized = false;   ///< looked for after those that are not (Eddy has no normalizer)
  bool left_strip = false;   ///< takes the white space before it along
  bool right_strip = false;  ///< takes the white space after it along
  bool single_word = false;  ///< only where no word character touches it
};

/// What becomes of the matches of a split's pattern.
enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

struct SplitRule {
  std::string pattern;  ///< an oniguruma regular expression
  SplitBehavior behavior = SplitBehavior::isolated;
  bool invert = false;  ///< what the pattern does not match counts as the match
};

struct PreTokenizerRule {
  std::vector<SplitRule> splits;  ///< each runs inside the pieces of the one before
  bool add_prefix_space = false;  ///< a space before each piece that does not begin with one
  bool gpt2_split = false;        ///< ByteLevel's own split (use_regex), after the prefix space
};

struct MergeRule {
  std::uint32_t left, right, result;  ///< token ids; the rule's index is its rank
};

struct Definition {
  std::vector<std::optional<std::string>> vocabulary;  ///< by id, as spelled in the file; holes are empty
  std::vector<MergeRule> merges;
  std::vector<AddedToken> added;
  PreTokenizerRule pre_tokenizer;
  bool ignore_merges = false;  ///< a pre-token that is a token is that token, whatever the merges
  bool fuse_unknown = false;
  std::optional<std::uint32_t> unknown;  ///< for bytes that the vocabulary lacks; without it they are dropped
};

/// GPT-2's split, which ByteLevel runs when use_regex is set.
extern const std::string_view kGpt2Split;

/// Reads a tokenizer.json. Throws Error (status 2) naming `file`: malformed JSON, missing or contradictory parts, and
/// by their names a model, a normalizer or a pre-tokenizer that Eddy does not support. Post-processor, decoder,
/// truncation and padding are not used: Eddy adds no token, cuts nothing, and decodes byte-level.
Definition parse_definition(const std::string& json_text, const std::string& file);

}  // namespace eddy::tokenize
