#pragma once
// One shard file, mapped: tokens and documents without a copy. The format is docs/formats/shard.md.
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "io/file.h"
#include "shard/split.h"

namespace eddy::shard {

/// A document as it lies in the mapped file.
struct DocumentView {
  std::span<const std::uint32_t> tokens;
  std::uint32_t prompt;  ///< the first `prompt` tokens are no targets of the loss, all others are
  std::uint32_t source;  ///< id in the shard's source table
  std::uint64_t hash;    ///< XXH3 of the content: what decided the split
};

/// Throws Error (status 2), naming `where`, for a size that no vocabulary has.
void check_vocab_size(std::uint64_t size, const std::string& where);

/// Immutable, and safe to use from several threads.
class Shard {
 public:
  /// Opens and maps. Checks the header, every dataset's type, size and place, all checksums but the tokens', and that
  /// the offsets ascend within bounds. Throws Error (status 2) naming file and dataset.
  explicit Shard(std::filesystem::path path);

  /// Also reads all tokens: their checksum, and that each id is below vocab_size(). Throws Error (status 2).
  void verify() const;

  const std::filesystem::path& path() const { return file_.path(); }
  Split split() const { return split_; }
  std::uint64_t documents() const { return prompt_.size(); }
  std::uint64_t tokens() const { return tokens_.size(); }
  DocumentView document(std::uint64_t i) const {
    return {tokens_.subspan(offsets_[i], offsets_[i + 1] - offsets_[i]), prompt_[i], source_[i], hash_[i]};
  }
  std::uint64_t length(std::uint64_t i) const { return offsets_[i + 1] - offsets_[i]; }
  std::uint32_t prompt(std::uint64_t i) const { return prompt_[i]; }
  /// Begins to fetch what document(i) needs: documents are met in random order, far from each other in memory.
  void prefetch(std::uint64_t i) const {
    __builtin_prefetch(&offsets_[i]);
    __builtin_prefetch(&prompt_[i]);
  }
  std::uint64_t sources() const { return source_offsets_.size() - 1; }
  /// The input file that documents came from, relative to the --input it was found under.
  std::string_view source_name(std::uint32_t id) const {
    return source_names_.substr(source_offsets_[id], source_offsets_[id + 1] - source_offsets_[id]);
  }
  std::uint64_t tokenizer_hash() const { return tokenizer_hash_; }
  std::uint64_t vocab_size() const { return vocab_size_; }  ///< the tokenizer's
  std::uint64_t max_token() const { return max_token_; }    ///< largest id in the shard

 private:
  void check_offsets() const;
  io::MappedFile file_;
  Split split_ = Split::train;
  std::uint64_t tokenizer_hash_ = 0, vocab_size_ = 0, max_token_ = 0, tokens_checksum_ = 0;
  std::span<const std::uint32_t> tokens_, prompt_, source_;
  std::span<const std::uint64_t> offsets_, hash_, source_offsets_;
  std::string_view source_names_;
};

}  // namespace eddy::shard
