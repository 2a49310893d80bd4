#pragma once
// Trains a byte-level BPE with DeepSeek-V3's splits and writes it as a tokenizer.json that Hugging Face's `tokenizers`
// loads with the same ids. Deterministic: the pair with the highest count is merged first, of equal ones the pair with
// the smaller ids; the order in which documents are added does not matter.
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenize/definition.h"
#include "tokenize/pretokenizer.h"
#include "tokenize/string_ids.h"

namespace eddy::tokenize {

/// DeepSeek-R1's control tokens that training and chat need, with R1's flags and these ids: 0 BOS, 1 EOS, 2 padding,
/// 3 <｜User｜>, 4 <｜Assistant｜>, 5 <think>, 6 </think>.
std::vector<AddedToken> default_added_tokens();

class BpeTrainer {
 public:
  /// `vocab_size` counts everything: added tokens (ids from 0, in order; their `id` is ignored), then the 256 bytes in
  /// the order of their characters, then merges. Throws Error (status 2) when it leaves no room for the bytes.
  explicit BpeTrainer(std::size_t vocab_size, std::vector<AddedToken> added = default_added_tokens());
  /// Counts the pre-tokens of a document (any bytes; added tokens in it are plain text).
  void add(std::string_view document);
  /// Finds the merges and returns the tokenizer.json. A text with too few pairs gives a smaller vocabulary.
  std::string finish();

 private:
  std::size_t vocab_size_;
  std::vector<AddedToken> added_;
  PreTokenizer pre_tokenizer_;
  MatchScratch match_;
  std::unordered_map<std::string, std::int64_t, StringHash, std::equal_to<>> words_;
};

/// The tokenizer.json of a definition whose splits are plain Splits followed by ByteLevel.
std::string definition_json(const Definition& definition);

}  // namespace eddy::tokenize
