#pragma once
// The tokenizer: text ⇄ token ids by any Hugging Face byte-level-BPE tokenizer.json, with Hugging Face's ids.
//
// Any bytes can be encoded. What is not well-formed UTF-8 (which Hugging Face cannot take) is cut out before the
// splits: each maximal run of such bytes is a pre-token of its own, encoded byte by byte like any other, and the
// stretches between are split as texts of their own. decode(encode(x)) == x for every x, unless the file asks for a
// prefix space, drops a split's matches, strips white space around added tokens, or lacks some of the 256 bytes.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenize/pretokenizer.h"

namespace eddy::tokenize {

/// A token and the bytes of the text that it stands for.
struct TokenSpan {
  std::uint32_t id;
  std::size_t begin, end;  ///< bytes [begin, end)
};

class Tokenizer {
 public:
  /// plain_text: the text is a stranger's, and "<｜User｜>" in it is seven letters and signs, not a control token.
  enum class Added { recognised, plain_text };
  enum class Special { shown, skipped };

  /// Reads a tokenizer.json. Throws Error (status 2) naming the file: unreadable, malformed, or (by its name) a model,
  /// normalizer or pre-tokenizer that is not supported.
  static Tokenizer load(const std::filesystem::path& file, PreTokenizer::Engine engine = PreTokenizer::Engine::fastest);
  /// The same from the file's bytes; `name` stands for the file in errors.
  static Tokenizer from_json(std::string file_bytes, const std::string& name,
                             PreTokenizer::Engine engine = PreTokenizer::Engine::fastest);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  /// A tokenizer for another thread: the tables are shared, the cache is its own.
  Tokenizer clone() const;

  /// Token ids of `text`; no BOS is added. Not const: it fills a bounded cache of pre-tokens.
  std::vector<std::uint32_t> encode(std::string_view text, Added added = Added::recognised);
  /// The same ids, each with its place. A token of a character that is split between tokens covers its own bytes only;
  /// a prefix space covers none. Pre-tokens with bytes that the vocabulary lacks: each token covers the whole
  /// pre-token.
  std::vector<TokenSpan> encode_with_offsets(std::string_view text, Added added = Added::recognised);
  /// The bytes of the tokens. Special tokens are shown unless skipped; an id that is no token is shown as U+FFFD.
  std::string decode(std::span<const std::uint32_t> ids, Special special = Special::shown) const;

  /// The largest id + 1, added tokens included.
  std::size_t vocab_size() const;
  /// The id of a token as the file spells it ("Ġthe", "<｜User｜>").
  std::optional<std::uint32_t> id_of(std::string_view token) const;
  /// The bytes that a token stands for; nothing when the id is no token.
  std::optional<std::string_view> bytes_of(std::uint32_t id) const;
  bool is_special(std::uint32_t id) const;
  /// XXH3-64 of the file's bytes: what a shard records.
  std::uint64_t hash() const;
  /// The file, to be copied beside what was made with it.
  const std::string& file_bytes() const;

 private:
  struct Tables;
  struct Scratch;
  explicit Tokenizer(std::shared_ptr<const Tables> tables);
  void encode_piece(std::string_view piece, const char* readable_end);
  void encode_text(std::string_view text);
  void merge_piece(std::string_view piece);
  std::shared_ptr<const Tables> tables_;
  std::unique_ptr<Scratch> scratch_;
};

}  // namespace eddy::tokenize
